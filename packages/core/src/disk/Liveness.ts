/**
 * Whether a process that left a lock behind is dead. `FileSystem` of `@effect/platform` cannot tell it, so an application
 * that can says how; where nobody does, only a heart that has stood still for a while tells of a crash.
 *
 * @example
 * import { Effect, Layer } from "effect"
 * import { Liveness } from "@org/batch-core"
 *
 * const running = new Set(["first", "second"])
 * const layer = Layer.succeed(Liveness.Liveness, {
 *   self: Effect.succeed("first"),
 *   isDead: (name) => Effect.succeed(!running.has(name))
 * })
 */
import { Context, Effect } from "effect"

/** How processes know each other. */
export interface Service {
  /** The name under which others can look for this process: one line, and never given to another one; or empty. */
  readonly self: Effect.Effect<string>
  /** Whether the process of that name has ended for sure. */
  readonly isDead: (name: string) => Effect.Effect<boolean>
}

/** How processes know each other. By default they do not. */
export class Liveness extends Context.Reference<Liveness>()("@org/batch-core/Liveness", {
  defaultValue: (): Service => ({ self: Effect.succeed(""), isDead: () => Effect.succeed(false) })
}) {}
