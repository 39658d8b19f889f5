/**
 * `batchctl sandbox`: a local batch API with storage, to try everything without a key and without credits.
 */
import * as Network from "@org/batch-node/Network"
import { Effect, Option } from "effect"
import type { Example } from "../run/LocalSandbox.js"
import { Environment } from "../settings/Settings.js"
import * as Commands from "../syntax/Commands.js"
import { Stdout } from "../terminal/Stdout.js"
import { unbroken } from "../terminal/Wrap.js"
import * as Command from "./Command.js"

/** The parsed flags. */
interface Request {
  readonly port: number
  readonly host: string
  readonly storagePort: Option.Option<number>
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

const run = Effect.fn("SandboxCommand.run")(function* ({ storagePort, ...where }: Request) {
  const { examples, start } = yield* Effect.promise(() => import("../run/LocalSandbox.js"))
  const stdout = yield* Stdout
  const proxied = Network.proxiesSet((yield* Environment).variables).length > 0
  const sandbox = yield* start({ ...where, storagePort: Option.getOrUndefined(storagePort) })
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
  run({
    port: Number(values.port ?? 8788),
    host: values.host ?? "127.0.0.1",
    storagePort: Option.map(Option.fromNullable(values["storage-port"]), Number)
  })
)
