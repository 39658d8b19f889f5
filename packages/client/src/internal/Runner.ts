/** Effects as promises, and streams as async iterables, all of one runtime, which ends them when it is closed. */
import type { BatchNode } from "@org/batch-node"
import { type Chunk, Effect, Exit, type Layer, Mailbox, ManagedRuntime, Stream } from "effect"
import { setMaxListeners } from "node:events"
import { ClientClosed } from "../BatchError.js"
import { type Failed, thrown } from "./Failures.js"

/** What runs everything that one client does. Its layer is built by the first call. */
export class Runner {
  readonly #runtime: ManagedRuntime.ManagedRuntime<BatchNode.Services, BatchNode.SettingError>
  /** What ends each call that is running, and when it has ended. */
  readonly #running = new Map<AbortController, Promise<unknown>>()
  #closed: Promise<void> | undefined

  constructor(layer: Layer.Layer<BatchNode.Services, BatchNode.SettingError>) {
    this.#runtime = ManagedRuntime.make(layer)
  }

  /** Runs an effect. When a signal is aborted it is interrupted, and once it has ended its reason is thrown. */
  async run<A>(
    effect: Effect.Effect<A, Failed, BatchNode.Services>,
    ...signals: ReadonlyArray<AbortSignal | undefined>
  ): Promise<A> {
    if (this.#closed !== undefined) throw new ClientClosed()
    const stop = new AbortController()
    const aborts = signals.map((signal) => {
      signal?.throwIfAborted()
      const abort = () => stop.abort(signal?.reason)
      return { signal, abort }
    })
    for (const { abort, signal } of aborts) {
      if (signal === undefined) continue
      // one signal may well end many calls
      setMaxListeners(0, signal)
      signal.addEventListener("abort", abort, { once: true })
    }
    const ended = this.#runtime.runPromiseExit(effect, { signal: stop.signal })
    this.#running.set(stop, ended)
    try {
      const exit = await ended
      if (Exit.isSuccess(exit)) return exit.value
      throw stop.signal.aborted ? stop.signal.reason : thrown(exit.cause)
    } finally {
      this.#running.delete(stop)
      for (const { abort, signal } of aborts) signal?.removeEventListener("abort", abort)
    }
  }

  /** Runs a stream at the pace of whoever reads it; a reader that stops ends it. */
  async *iterate<A>(
    stream: Stream.Stream<A, Failed, BatchNode.Services>,
    signal: AbortSignal | undefined
  ): AsyncGenerator<A, void, undefined> {
    const reader = new AbortController()
    const portions = Effect.runSync(Mailbox.make<Chunk.Chunk<A>>(1))
    const told = Stream.runForEachChunk(stream, (rows) => portions.offer(rows))
    const running = this.run(told, signal, reader.signal).finally(() => Effect.runSync(portions.end))
    // it is awaited below, behind the rows that came before it
    const ended = running.catch(() => undefined)
    const isOver = () => signal?.aborted === true || this.#closed !== undefined
    try {
      for (let isLast = false; !isLast;) {
        const [taken, isDone] = await Effect.runPromise(portions.takeAll)
        for (const rows of taken) {
          for (const row of rows) {
            if (isOver()) break
            yield row
          }
        }
        isLast = isDone
      }
      await running
    } finally {
      reader.abort()
      await ended
    }
  }

  /** Interrupts what runs, waits for its end, and gives back connections. */
  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #end(): Promise<void> {
    for (const stop of this.#running.keys()) stop.abort(new ClientClosed())
    await Promise.all(this.#running.values())
    await this.#runtime.dispose()
  }
}
