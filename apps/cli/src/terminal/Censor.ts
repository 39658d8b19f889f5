/**
 * The last guard of the key: whatever line leaves the process, the key is taken out of it, should a peer have echoed it.
 */
import { scrub } from "@org/batch-core/Secret"
import { Context, Effect, Layer, Redacted } from "effect"

/** Knows the secrets of this run. */
export interface Service {
  /** Guards a secret from now on. */
  readonly guard: (secret: Redacted.Redacted<string>) => Effect.Effect<void>
  /** The text without the secrets. */
  readonly clean: (text: string) => string
}

/** Knows the secrets of this run. */
export class Censor extends Context.Tag("@org/batch-cli/Censor")<Censor, Service>() {}

/** Shorter ones are no keys, and taking them out would only garble what is printed. */
const shortest = 6

/** Knows no secret yet. */
export const layer: Layer.Layer<Censor> = Layer.sync(Censor, () => {
  const secrets: Array<Redacted.Redacted<string>> = []
  return {
    guard: (secret) =>
      Effect.sync(() => {
        if (Redacted.value(secret).length >= shortest) secrets.push(secret)
      }),
    clean: (text) => secrets.reduce(scrub, text)
  }
})
