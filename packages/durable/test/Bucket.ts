/**
 * For tests: as much of an S3-compatible server as a delivery uses, with what the servers on npm lack: conditional writes
 * (`If-None-Match: *`) and aborted uploads.
 */
import { Effect, type Scope } from "effect"
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"

/** An object with its metadata. */
export interface Stored {
  readonly body: Buffer
  readonly headers: Readonly<Record<string, string>>
}

/** A running server. */
export interface Bucket {
  readonly endpoint: string
  /** By `bucket/key`. */
  readonly objects: Map<string, Stored>
  /** Uploads that are neither ended nor aborted, with their parts. */
  readonly uploads: Map<string, Map<number, Buffer>>
  readonly requests: Array<string>
  /** Answers parts only when it is set to false. */
  hangs: boolean
  /** What the answer to a new upload in parts waits for. */
  created: Promise<void>
  /** The status of every answer, if it is to refuse. */
  refuses: number | undefined
}

const read = (request: IncomingMessage): Promise<Buffer> =>
  new Promise((resolve) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => resolve(Buffer.concat(chunks)))
  })

/** The body of an upload in signed or unsigned chunks: size in hexadecimal, line, bytes, line, …, trailers. */
const unchunk = (body: Buffer): Buffer => {
  const parts: Array<Buffer> = []
  let place = 0
  while (true) {
    const end = body.indexOf("\r\n", place)
    const size = Number.parseInt(body.subarray(place, end).toString().split(";")[0] ?? "0", 16)
    if (!(size > 0)) return Buffer.concat(parts)
    parts.push(body.subarray(end + 2, end + 2 + size))
    place = end + 2 + size + 2
  }
}

const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const body = await read(request)
  return String(request.headers["x-amz-content-sha256"]).startsWith("STREAMING-") ? unchunk(body) : body
}

/** A server for as long as the scope. */
export const make: Effect.Effect<Bucket, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.async<{ readonly bucket: Bucket; readonly close: () => void }>((resume) => {
      const state = {
        objects: new Map<string, Stored>(),
        uploads: new Map<string, Map<number, Buffer>>(),
        requests: new Array<string>(),
        hangs: false,
        created: Promise.resolve(),
        refuses: undefined
      }
      const server = createServer((request, response) => {
        response.on("error", () => undefined)
        void answer(bucket, request, response)
      })
      const bucket: Bucket = { ...state, endpoint: "" }
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const close = () => {
          server.closeAllConnections()
          server.close()
        }
        const made = Object.assign(bucket, { endpoint: `http://127.0.0.1:${port}` })
        resume(Effect.succeed({ bucket: made, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  ),
  ({ bucket }) => bucket
)

const answer = async (bucket: Bucket, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const url = new URL(request.url ?? "", "http://bucket")
  const name = decodeURIComponent(url.pathname.slice(1))
  const upload = url.searchParams.get("uploadId")
  const parts = upload === null ? undefined : bucket.uploads.get(upload)
  const body = await bodyOf(request)
  bucket.requests.push(
    `${request.method} ${url.searchParams.has("uploads") ? "uploads" : (upload ?? "object")}`
  )
  const end = (status: number, text = "", headers: Record<string, string> = {}) =>
    void response.writeHead(status, { "content-type": "application/xml", ...headers }).end(text)
  const fail = (status: number, code: string) =>
    end(status, request.method === "HEAD" ? "" : `<Error><Code>${code}</Code><Message>no</Message></Error>`)
  const store = (content: Buffer, headers: Readonly<Record<string, string>>, answered: string) => {
    if (request.headers["if-none-match"] === "*" && bucket.objects.has(name))
      return fail(412, "PreconditionFailed")
    bucket.objects.set(name, { body: content, headers })
    end(200, answered, { etag: `"${createHash("md5").update(content).digest("hex")}"` })
  }
  const metadata = Object.fromEntries(
    Object.entries(request.headers).flatMap(([header, value]) =>
      header.startsWith("x-amz-meta-") || header === "content-type" ? [[header, String(value)]] : []
    )
  )
  if (bucket.refuses !== undefined) return fail(bucket.refuses, "AccessDenied")
  if (request.method === "HEAD") {
    const found = bucket.objects.get(name)
    return found === undefined ? fail(404, "NotFound") : end(200, "", found.headers)
  }
  if (request.method === "DELETE") {
    if (!bucket.uploads.delete(upload ?? "")) return fail(404, "NoSuchUpload")
    return end(204)
  }
  if (request.method === "POST" && url.searchParams.has("uploads")) {
    const id = `upload-${bucket.requests.length}`
    bucket.uploads.set(id, new Map())
    kept.set(id, metadata)
    await bucket.created
    return end(
      200,
      `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`
    )
  }
  if (upload !== null && parts === undefined) return fail(404, "NoSuchUpload")
  if (request.method === "PUT" && parts !== undefined) {
    if (bucket.hangs) return
    parts.set(Number(url.searchParams.get("partNumber")), body)
    return end(200, "", { etag: `"${createHash("md5").update(body).digest("hex")}"` })
  }
  if (request.method === "POST" && parts !== undefined && upload !== null) {
    const ordered = [...parts.entries()].toSorted(([a], [b]) => a - b)
    store(
      Buffer.concat(ordered.map(([, part]) => part)),
      kept.get(upload) ?? {},
      "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
    )
    if (response.statusCode === 200) bucket.uploads.delete(upload)
    return
  }
  store(body, metadata, "")
}

/** What the creation of an upload said of the object. */
const kept = new Map<string, Readonly<Record<string, string>>>()
