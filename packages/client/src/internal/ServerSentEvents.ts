/** Server-Sent Events of a response, as the HTML standard reads them. */

/** An event, or a wish for the pause before the next connection. */
export interface ServerSentEvent {
  readonly name: string
  readonly data: string
  readonly id: string | undefined
}

/** What is told while a stream is read. */
export interface Listener {
  /** The stream is alive, even if it says nothing. */
  readonly onBytes: () => void
  /** Milliseconds that the server wants between two connections. */
  readonly onRetry: (milliseconds: number) => void
}

/** The events of a body, in order; a block that is cut off is none. */
export async function* read(
  body: AsyncIterable<Uint8Array>,
  { onBytes, onRetry }: Listener
): AsyncGenerator<ServerSentEvent, void, undefined> {
  let [name, id]: [string, string | undefined] = ["", undefined]
  let data: Array<string> = []
  for await (const line of lines(body, onBytes)) {
    if (line === "") {
      if (data.length > 0) yield { name: name || "message", data: data.join("\n"), id }
      ;[name, data] = ["", []]
      continue
    }
    const [, field = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/su.exec(line) ?? []
    if (field === "data") data.push(value)
    if (field === "event") name = value
    if (field === "id" && !value.includes("\0")) id = value
    if (field === "retry" && /^\d{1,9}$/u.test(value)) onRetry(Number(value))
  }
}

/** Lines that have ended, by LF, CR LF or CR, wherever the bytes were split. */
async function* lines(body: AsyncIterable<Uint8Array>, onBytes: () => void): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const bytes of body) {
    onBytes()
    rest += decoder.decode(bytes, { stream: true })
    // a CR at the end may be half a CR LF
    const whole = rest.split(/\r\n|\n|\r(?!$)/u)
    rest = whole.pop() ?? ""
    yield* whole
  }
}
