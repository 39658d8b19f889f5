import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { over, world } from "./Batchctl.js"

const apiKey = "sk-live-3b1f9e55c0a7"

it.scopedLive("neither the key nor a link's signature is ever shown or stored, whatever happens", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox, start } = yield* world({ apiKey })
    const id = yield* sandbox.createJob({ ...over, records: 200, parts: 2 })
    const failed = yield* sandbox.createJob({
      ...over,
      outcome: "failed",
      errorMessage: `saw Bearer ${apiKey}`
    })
    const env = { BATCH_DEBUG: "1", BATCH_TRANSFER_RETRIES: "1" }
    const storage = { server: "storage" } as const
    const texts: Array<string> = []
    const told = (...args: ReadonlyArray<string>) =>
      Effect.map(run(args, { env }), ({ stderr, stdout }) => void texts.push(stdout, stderr))

    yield* told("status", id, failed, "--json")
    yield* told("status", id, "--log-level", "all")
    yield* told("wait", id, failed, "--json")
    yield* told("list", "--json")
    yield* told("doctor", "--json")
    yield* told("get", id, "--receipt", "--json")
    yield* told("get", id, "--json")
    const lies = [
      { respond: { status: 403, body: "<Error><Code>SignatureDoesNotMatch</Code></Error>" } },
      { expired: true },
      { cut: { afterBytes: 9_000, by: "reset" } },
      { redirect: { to: "https://elsewhere.example/?X-Amz-Signature=feedfacefeedface" } },
      { garbage: {} },
      { flipByte: { at: 3_000 } }
    ] as const
    const deceived = yield* Effect.forEach(lies, (effects) =>
      Effect.gen(function* () {
        const other = yield* sandbox.createJob({ ...over, records: 200, parts: 2 })
        yield* sandbox.script({ id: other, on: { ...storage, path: other }, times: -1, do: effects })
        return other
      })
    )
    yield* told("download", ...deceived, "-o", "others/", "--format", "jsonl", "--json")
    const unused = (yield* sandbox.faults).filter(({ consumed }) => consumed === 0)
    expect(unused).toEqual([])
    yield* sandbox.clearFaults
    yield* sandbox.script({
      on: { server: "api" },
      do: { respond: { status: 400, body: `{"message":"bad ${apiKey}"}` } }
    })
    yield* told("status", id, "--json")

    yield* sandbox.script({ on: storage, times: -1, do: { trickle: { bytesPerSecond: 20_000 } } })
    const get = yield* start(["get", id, "-o", "slow.jsonl.gz"], { env })
    yield* get.until(/fetching/)
    yield* get.kill("SIGINT")
    const { stderr, stdout } = yield* get.outcome
    texts.push(stdout, stderr)

    const everything = [...texts, ...files(folder)].join("\n")
    expect(everything).toContain(id)
    expect(everything).not.toContain(apiKey)
    expect(everything).not.toMatch(/X-Amz-Signature=[0-9a-f]/)
    expect(everything).not.toMatch(/X-Amz-Credential|AWSAccessKeyId/)
  })
)

/** Names and contents of all files below a folder. */
const files = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? files(path) : [name, readFileSync(path, "latin1")]
  })
