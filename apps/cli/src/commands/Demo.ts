/**
 * The steps of `batchctl demo`: submit, wait, download, verify. Only the upstream is simulated: the submit is an HTTP
 * request, and the results come through the same code as for `batchctl get`.
 */
import { FileSystem, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { BatchId } from "@org/batch-core/Batch"
import * as BatchClient from "@org/batch-core/BatchClient"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import { storageErrorAt } from "@org/batch-core/BatchError"
import { BatchHttp } from "@org/batch-core/BatchHttp"
import { type Verification, verify } from "@org/batch-core/Verification"
import * as Network from "@org/batch-node/Network"
import { ConfigProvider, Effect, Layer, Option, Schema, Stream } from "effect"
import { SandboxUnavailable } from "../failure/CliError.js"
import * as LocalSandbox from "../run/LocalSandbox.js"
import { command } from "../terminal/CommandLine.js"
import { bytes, count, plural } from "../terminal/Humanize.js"
import { Stderr } from "../terminal/Stderr.js"
import { Stdout } from "../terminal/Stdout.js"
import { definitions, unbroken } from "../terminal/Wrap.js"
import * as GetCommand from "./GetCommand.js"

/** Runs the demo with this number of companies. The results stay in a temporary folder, whose path is printed. */
export const run = Effect.fn("Demo.run")(function* (records: number) {
  const { baseUrl, apiKey } = yield* LocalSandbox.start({ clock: { pendingMs: 600, processingMs: 2_400 } })
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs
    .makeTempDirectory({ prefix: "batchctl-demo-" })
    .pipe(Effect.mapError(storageErrorAt("the temporary folder")))
  yield* story(records, baseUrl, folder).pipe(Effect.provide(coreLayer({ baseUrl, apiKey })))
}, Effect.scoped)

const story = (records: number, baseUrl: string, folder: string) =>
  Effect.gen(function* () {
    const { columns, text } = yield* Stdout
    const line = (words: string) => text(words.split("\n"), 3)
    yield* line("batchctl demo: from a batch id to verified rows, against a batch API on this machine\n")
    yield* line(`1. Submit ${plural(records, "company")}`)
    yield* line(`   POST ${baseUrl}/batch/company/enrich`)
    const id = yield* submit(records)
    const output = `${folder}/companies.jsonl`
    yield* line(`   batch_id ${id}\n`)
    yield* line(`2. Wait and download\n   ${unbroken(command("get", id, "-o", output, "--receipt"))}`)
    yield* GetCommand.deliver({ ...asTyped, ids: [id], output: Option.some(output) })
    yield* line(
      `\n3. Verify, offline, against the receipt beside it\n   ${unbroken(command("verify", output))}`
    )
    const [found] = yield* verify(output)
    yield* line(receipt(found).join("\n"))
    yield* line("\n4. The first records")
    yield* line((yield* firstRecords(output)).join("\n"))
    yield* line(`\nThe file and its receipt stay at ${output}\n\nTry next`)
    yield* text(
      definitions(
        tryNext,
        Option.getOrElse(columns, () => 80)
      )
    )
  })

/** The flags of the `get` command line that the demo prints. */
const asTyped = {
  timeout: "5m",
  format: Option.none(),
  columns: Option.none(),
  bom: false,
  parts: false,
  concurrency: Option.none(),
  force: false,
  skipExisting: false,
  allowIncomplete: false,
  receipt: true,
  json: false,
  quiet: false
}

/**
 * The core's services against the sandbox: short poll delays, since the job takes seconds; no proxy, since it is on
 * this machine.
 */
const coreLayer = (sandbox: { readonly baseUrl: string; readonly apiKey: string }) => {
  const settings = new Map([
    ["CRUSTDATA_BASE_URL", sandbox.baseUrl],
    ["CRUSTDATA_API_KEY", sandbox.apiKey],
    ["BATCH_POLL_INITIAL_DELAY", "300ms"],
    ["BATCH_POLL_MAX_DELAY", "400ms"],
    ["BATCH_POLL_MIN_DELAY", "200ms"]
  ])
  const config = Layer.provide(
    BatchConfig.layerConfig(),
    Layer.setConfigProvider(ConfigProvider.fromMap(settings, { pathDelim: "_" }))
  )
  return BatchClient.layerOver(Layer.orDie(config)).pipe(Layer.provide(Network.layerDirect))
}

const Submitted = Schema.Struct({ batch_id: BatchId })

const submit = (records: number) =>
  Effect.gen(function* () {
    const { api } = yield* BatchHttp
    const domains = Array.from({ length: records }, (_, index) => `company-${index + 1}.example`)
    const request = HttpClientRequest.post("/batch/company/enrich").pipe(
      HttpClientRequest.setHeader("x-api-version", "2025-11-01"),
      HttpClientRequest.bodyUnsafeJson({ domains })
    )
    const answer = yield* Effect.flatMap(api.execute(request), HttpClientResponse.filterStatusOk)
    return (yield* HttpClientResponse.schemaBodyJson(Submitted)(answer)).batch_id
  }).pipe(Effect.mapError(() => new SandboxUnavailable({ detail: "it did not take the job" })))

const receipt = ({ bytes: size, receipt, records, sha256 }: Verification): ReadonlyArray<string> => [
  `   rows      ${count(records)}${receipt === undefined ? "" : ` of ${count(receipt.resultCount)} announced by the API`}`,
  ...(receipt === undefined
    ? []
    : [
        `   found     ${count(receipt.entitiesFulfilled)} of ${plural(receipt.entitiesRequested, "company")}`,
        `   source    ${receipt.source}, ${plural(receipt.parts.length, "file")}, ${plural(receipt.retries, "retry")}`
      ]),
  `   size      ${bytes(size)}`,
  `   sha256    ${sha256}`,
  `   complete  ${receipt?.complete === false ? "no" : "yes: length, checksums and row count agree"}`
]

const shown = 3

const firstRecords = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const width = Math.min(100, yield* (yield* Stderr).columns) - 20
    const head = yield* fs
      .stream(file, { bytesToRead: 512 * 1024 })
      .pipe(Stream.decodeText(), Stream.mkString)
    return head
      .split("\n")
      .filter((record) => record !== "")
      .slice(0, shown)
      .map((record) => `   ${record.slice(0, width)}… (${bytes(record.length)})`)
  }).pipe(Effect.orDie)

const tryNext = [
  ["batchctl sandbox", "a batch API with running, failed, empty jobs"],
  ["export CRUSTDATA_API_KEY=…", "your own key; then:"],
  ["batchctl doctor", "is everything set and reachable?"],
  ["batchctl list", "your jobs"],
  ["batchctl get <batch-id>", "wait for one and download its rows, verified"]
] as const
