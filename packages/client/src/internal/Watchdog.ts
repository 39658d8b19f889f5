/** Aborts what has been silent for too long. */

/** A signal that is aborted when nobody touches it for a while. */
export class Watchdog {
  readonly #stop = new AbortController()
  readonly #timer: NodeJS.Timeout

  constructor(milliseconds: number) {
    this.#timer = setTimeout(() => {
      this.#stop.abort(new DOMException("the connection has been silent for too long", "TimeoutError"))
    }, milliseconds)
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** It is alive. */
  touch(): void {
    this.#timer.refresh()
  }

  /** It need not be watched any more, and what is still open is closed. */
  end(): void {
    clearTimeout(this.#timer)
    this.#stop.abort()
  }
}
