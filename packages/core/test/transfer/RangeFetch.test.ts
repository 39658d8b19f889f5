import { FileSystem, HttpClient, HttpClientError, HttpClientResponse } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted } from "effect"
import { gzipSync } from "node:zlib"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as BatchHttp from "../../src/status/BatchHttp.js"
import type * as Cells from "../../src/transfer/Cells.js"
import * as Connections from "../../src/transfer/Connections.js"
import * as GrowingFile from "../../src/disk/GrowingFile.js"
import * as ResultLinks from "../../src/transfer/ResultLinks.js"
import * as Condition from "../../src/disk/Condition.js"
import * as FileTransfer from "../../src/transfer/FileTransfer.js"
import type { StatusError, StorageError } from "../../src/model/BatchError.js"
import * as RangeFetch from "../../src/transfer/RangeFetch.js"
import * as Bench from "../Bench.js"
import * as Script from "../Script.js"

const bytes = gzipSync(Buffer.from(Array.from({ length: 20_000 }, (_, n) => (n * 7919) % 256)), { level: 0 })
const link = "https://files.test/x?a=%2F+b&X-Amz-Signature=secret"

describe("Transfer", () => {
  it.scopedLive(
    "asks for a range anonymously, with the link as it is, and names the version it goes on with",
    () =>
      Effect.gen(function* () {
        const { fetch, file, read, seen } = yield* start(({ range }) => ranged(range))
        yield* fetch({ start: 0, end: 8192 })
        yield* fetch(Option.getOrThrow(file.claim(1)))
        expect(seen.map(({ headers, url }) => [url, headers["range"], headers["if-match"]])).toEqual([
          [link, "bytes=0-8191", undefined],
          [link, `bytes=8192-${bytes.length - 1}`, '"v1"']
        ])
        for (const { headers } of seen) {
          expect(headers["accept-encoding"]).toBe("identity")
          expect(
            Object.keys(headers).filter((name) => /authorization|traceparent|b3|x-amz|cookie/u.test(name))
          ).toEqual([])
        }
        expect(Buffer.from(yield* read).equals(bytes)).toBe(true)
      })
  )

  for (const [name, location, expected] of [
    ["another host, over https", "https://other.test/y?z=1", ["https://files.test", "https://other.test"]],
    ["another place of the same host", "/y", ["https://files.test", "https://files.test"]]
  ] as const) {
    it.scopedLive(`follows a redirect to ${name}`, () =>
      Effect.gen(function* () {
        const { fetch, seen } = yield* start(({ range, url }) =>
          url === link ? new Response("", { status: 307, headers: { location } }) : ranged(range)
        )
        yield* fetch({ start: 0, end: 8192 })
        expect(seen.map(({ url }) => new URL(url).origin)).toEqual(expected)
        expect(seen.every(({ headers }) => !("authorization" in headers))).toBe(true)
      })
    )
  }

  for (const location of [
    "http://files.test/x",
    "http://127.0.0.1/x",
    "ftp://files.test/x",
    "https://[nowhere"
  ]) {
    it.scopedLive(`does not follow a redirect to ${location}`, () =>
      Effect.gen(function* () {
        const { fetch, seen } = yield* start(() => new Response("", { status: 307, headers: { location } }))
        expect(yield* Effect.flip(fetch({ start: 0, end: 8192 }))).toMatchObject({
          _tag: "TransferFailed",
          reason: "Protocol",
          attempts: 1
        })
        expect(seen).toHaveLength(1)
      })
    )
  }

  it.scopedLive("gives up a loop of redirects over many hosts", () =>
    Effect.gen(function* () {
      let hop = 0
      const { fetch, seen } = yield* start(
        () => new Response("", { status: 302, headers: { location: `https://h${(hop += 1)}.test/` } })
      )
      expect(yield* Effect.flip(fetch({ start: 0, end: 8192 }))).toMatchObject({
        _tag: "TransferFailed",
        status: Option.some(302)
      })
      expect(seen).toHaveLength(4)
    })
  )

  it.scopedLive("tells neither link nor signature when a connection fails", () =>
    Effect.gen(function* () {
      const { fetch, seen } = yield* start(() => {
        throw new Error(`cannot reach ${link}`)
      })
      const error = yield* Effect.flip(fetch({ start: 0, end: 8192 }))
      expect(seen).toHaveLength(6)
      expect(error).toMatchObject({ _tag: "TransferFailed", reason: "Transport", attempts: 6 })
      expect(`${String(error)} ${JSON.stringify(error)}`).not.toMatch(/secret/u)
    })
  )

  it.scopedLive("leaves what it is refused to the others, when the host bears fewer", () =>
    Effect.gen(function* () {
      const { connections, fetch, file, seen } = yield* start(() => new Response("", { status: 503 }), {
        isSurplus: true,
        isSized: true
      })
      const run = Option.getOrThrow(file.claim(1))
      yield* fetch(run)
      expect(seen).toHaveLength(1)
      expect(yield* connections.allowed).toBe(2)
      expect(file.claim(1)).toEqual(Option.some(run))
    })
  )

  it.scopedLive("more bytes than were promised are not stored", () =>
    Effect.gen(function* () {
      const { fetch, read } = yield* start(
        () =>
          new Response(Buffer.concat([bytes, bytes]), {
            headers: { etag: '"v1"', "content-length": String(bytes.length) }
          })
      )
      yield* fetch({ start: 0, end: 8192 }).pipe(Effect.exit)
      expect((yield* read).length).toBeLessThanOrEqual(bytes.length)
    })
  )

  it.scopedLive("the first bytes are nobody else's while the size is being told", () =>
    Effect.gen(function* () {
      const others: Array<Option.Option<Cells.Run>> = []
      const { fetch } = yield* start(({ range }) => ranged(range), {
        onSize: (file) => Effect.sync(() => others.push(file.claim(8)))
      })
      yield* fetch({ start: 0, end: 8192 })
      expect(others).toEqual([Option.some({ start: 8192, end: 16_384 })])
    })
  )

  it.scopedLive("JSON lines that come as a part are asked for whole, once, at once", () =>
    Effect.gen(function* () {
      const { fetch, file, read, seen } = yield* start(({ range }) =>
        range === ""
          ? new Response('{"id":1}\n')
          : new Response('{"id"', {
              status: 206,
              headers: { etag: '"v1"', "content-range": "bytes 0-4/25", "content-length": "5" }
            })
      )
      yield* fetch({ start: 0, end: 8192 })
      expect(seen.map(({ range }) => range)).toEqual(["bytes=0-8191", ""])
      expect([file.isPlain(), file.isWhole(), Option.isNone(file.snapshot())]).toEqual([true, true, true])
      expect(Buffer.from(yield* read).toString()).toBe('{"id":1}\n')
    })
  )

  it.scopedLive("a host that sends parts of JSON lines whatever it is asked for is given up", () =>
    Effect.gen(function* () {
      const { fetch, seen } = yield* start(
        () =>
          new Response('{"id"', {
            status: 206,
            headers: { "content-range": "bytes 0-4/25", "content-length": "5" }
          })
      )
      expect(yield* Effect.flip(fetch({ start: 0, end: 8192 }))).toMatchObject({
        _tag: "ResultsCorrupt",
        reason: "Encoding"
      })
      expect(seen).toHaveLength(7)
    })
  )

  for (const body of ['{"error":{"message":"no"}}', '{"message":"no"}', "[{}]", "<html>", "plain text"]) {
    it.scopedLive(`takes no ${body} for JSON lines`, () =>
      Effect.gen(function* () {
        const { fetch } = yield* start(() => new Response(body))
        expect(yield* Effect.flip(fetch({ start: 0, end: 8192 }))).toMatchObject({ reason: "Encoding" })
      })
    )
  }

  it.scopedLive("a claim is given back when the transfer is interrupted", () =>
    Effect.gen(function* () {
      const { fetch, file } = yield* start(() => new Response("", { status: 404 }), { isSized: true })
      const run = Option.getOrThrow(file.claim(1))
      expect(Exit.isFailure(yield* Effect.exit(fetch(run)))).toBe(true)
      expect(file.claim(1)).toEqual(Option.some(run))
    })
  )
})

// ----------------------------------------------------------------------------------------------------------------

interface Seen {
  readonly url: string
  readonly range: string
  readonly headers: Readonly<Record<string, string>>
}

/** What an honest host answers. */
const ranged = (range: string): Response => {
  const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/u.exec(range) ?? []
  const end = last === "" ? bytes.length : Math.min(bytes.length, Number(last) + 1)
  const body = bytes.subarray(Number(first), end)
  return new Response(Buffer.from(body), {
    status: 206,
    headers: {
      etag: '"v1"',
      "content-length": String(body.length),
      "content-range": `bytes ${first}-${end - 1}/${bytes.length}`
    }
  })
}

type File = FileTransfer.FileTransfer<StatusError | StorageError>

/** A transfer of one file from a host that answers as it is told. */
const start = (
  answer: (seen: Seen) => Response,
  options: {
    readonly isSurplus?: boolean
    /** Whether an earlier run has learnt the size. */
    readonly isSized?: boolean
    readonly onSize?: (file: File) => Effect.Effect<unknown>
  } = {}
) =>
  Effect.gen(function* () {
    const seen: Array<Seen> = []
    const client = HttpClient.make((request, url) =>
      Effect.try({
        try: () => {
          const one = {
            url: url.href,
            range: request.headers["range"] ?? "",
            headers: { ...request.headers }
          }
          seen.push(one)
          return HttpClientResponse.fromWeb(request, answer(one))
        },
        catch: (cause) => new HttpClientError.RequestError({ request, reason: "Transport", cause })
      })
    )
    const context = yield* Layer.build(
      BatchHttp.layer.pipe(
        Layer.provide(Layer.succeed(HttpClient.HttpClient, client)),
        Layer.provideMerge(
          BatchConfig.layer({
            baseUrl: Script.baseUrl,
            apiKey: Redacted.make(Script.apiKey),
            retry: { baseDelay: "1ms", maxDelay: "1ms", throttledBaseDelay: "1ms", throttledMaxDelay: "1ms" },
            transfer: { ...Bench.sizes, settle: "0ms" }
          })
        ),
        Layer.provideMerge(NodeContext.layer)
      )
    )
    const prepared = Effect.gen(function* () {
      const settings = yield* BatchConfig.BatchConfig
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/file`
      const batch = Script.batch({ status: "completed", result_count: 1, download_url: link })
      yield* fs.writeFile(path, new Uint8Array(0))
      const file = yield* FileTransfer.make({
        planned: { index: 0, target: "merged", name: "file" },
        target: yield* GrowingFile.open({ path, descriptors: 1 }),
        transfer: settings.transfer,
        restored:
          options.isSized === true
            ? { etag: '"v1"', total: bytes.length, cellBytes: settings.transfer.cellBytes, filled: [] }
            : undefined
      })
      const connections = yield* Connections.make({ initial: 4, most: 4, changed: yield* Condition.make })
      const shared: RangeFetch.Shared<StatusError | StorageError> = {
        links: yield* ResultLinks.make(batch, {
          client: { status: () => Effect.succeed(batch) },
          settings
        }),
        connections,
        isSurplus: Effect.succeed(options.isSurplus ?? false),
        onWritten: () => Effect.void,
        onSize: (one) => Effect.asVoid(options.onSize?.(one) ?? Effect.void),
        onSettling: () => Effect.void,
        onRetry: () => Effect.void
      }
      return { connections, path, shared, file }
    })
    const { connections, path, shared, file } = yield* Effect.provide(prepared, context)
    return {
      seen,
      file,
      connections,
      fetch: (run: Cells.Run) => Effect.provide(RangeFetch.fetch(shared, file, run), context),
      read: Effect.provide(
        Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFile(path)),
        context
      )
    }
  })
