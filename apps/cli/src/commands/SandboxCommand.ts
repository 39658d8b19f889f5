/**
 * `batchctl sandbox`: a local batch API with storage, to try everything without a key and without credits.
 */
import * as Network from "@org/batch-node/Network"
import { Effect, Option } from "effect"
import { UsageError } from "../failure/CliError.js"
import type { Example } from "../run/LocalSandbox.js"
import { Environment } from "../settings/Settings.js"
import * as Commands from "../syntax/Commands.js"
import { Stdout } from "../terminal/Stdout.js"
import { unbroken } from "../terminal/Wrap.js"
import * as Command from "./Command.js"

/** The parsed flags. */
interface Request {
  readonly port: number | undefined
  readonly host: string | undefined
  readonly storagePort: number | undefined
  readonly credits: number | undefined
  readonly maxActiveJobs: number | undefined
}

const setup = (
  sandbox: { readonly baseUrl: string; readonly storageUrl: string; readonly apiKey: string },
  proxied: boolean
): ReadonlyArray<string> => [
  `# A local batch API, until Ctrl-C; its files are at ${sandbox.storageUrl}`,
  "# In another terminal:",
  `export CRUSTDATA_BASE_URL=${sandbox.baseUrl}`,
  `export CRUSTDATA_API_KEY=${sandbox.apiKey}`,
  ...(proxied ? [`export NO_PROXY="\${NO_PROXY:+$NO_PROXY,}${new URL(sandbox.baseUrl).hostname}"`] : [])
]

const attempt = ({ id, verb, what }: Example): ReadonlyArray<string> => [
  `# ${what}`,
  unbroken(`batchctl ${verb.padEnd(4)} ${id}`)
]

const run = Effect.fn("SandboxCommand.run")(function* (request: Request) {
  const { examples, start } = yield* Effect.promise(() => import("../run/LocalSandbox.js"))
  const stdout = yield* Stdout
  const proxied = Network.proxiesSet((yield* Environment).variables).length > 0
  const sandbox = yield* start({ ...request, port: request.port ?? 8788 })
  const jobs = yield* examples(sandbox)
  yield* stdout.text([
    ...setup(sandbox, proxied).map(unbroken),
    "",
    "# Jobs to try:",
    "batchctl list",
    ...jobs.flatMap(attempt)
  ])
  return yield* Effect.never
}, Effect.scoped)

/** `batchctl sandbox` */
export const command = Command.make(Commands.sandbox, ({ values }) =>
  Effect.flatMap(
    Effect.all({
      port: figure("--port", values.port, highestPort),
      host: Effect.succeed(values.host),
      storagePort: figure("--storage-port", values["storage-port"], highestPort),
      credits: figure("--credits", values.credits),
      maxActiveJobs: figure("--max-active", values["max-active"])
    }),
    run
  )
)

const highestPort = 65_535

const figure = (
  flag: string,
  value: string | undefined,
  most = Infinity
): Effect.Effect<number | undefined, UsageError> => {
  const number = Number(value ?? 0)
  if (number >= 0 && number <= most) return Effect.succeed(value === undefined ? undefined : number)
  const bounds = most === Infinity ? "at least 0" : `from 0 to ${most}`
  const detail = `${flag} ${value} must be ${bounds}`
  return new UsageError({ detail, hint: Option.none(), batchId: Option.none() })
}
