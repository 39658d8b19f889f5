/**
 * The command line of `batch-server`. It takes no options but those that explain it: all settings are environment
 * variables.
 */
import { Console, Effect } from "effect"
import { ExitWithCode } from "./ProcessExit.js"
import { version } from "./Version.js"

const usage = `batch-server ${version}: the Crustdata Batch API with the waiting, retrying and downloading done

Usage: batch-server [--help | --version]

Its settings are environment variables:
  CRUSTDATA_API_KEY            the key used upstream; without it, callers bring their own
  CRUSTDATA_BASE_URL           root of the batch API
  HOST, PORT                   where it listens: 127.0.0.1 and 8787
  BATCH_SERVER_TOKENS          bearer tokens, separated by commas, of which callers must present one
  BATCH_SERVER_STATE           the folder for idempotency keys: ~/.local/state/batch-server
  BATCH_SERVER_STORE           where retrievals and campaigns are kept: a folder, or postgres://…
  BATCH_SERVER_ROLE            all, or api or worker on a PostgreSQL that they share
  BATCH_SERVER_FOLDER          the root of folders that retrievals deliver to, and of campaigns
  BATCH_SERVER_SLOTS           downloads at a time, and campaigns: 8
  BATCH_SERVER_SLOTS_PER_ACCOUNT  of one account, in all processes together: 5
  BATCH_SERVER_SECRET          32 bytes in hex or base64: encrypts the keys of callers at rest
  BATCH_SERVER_WEBHOOK_SECRET  whsec_…: signs completion calls
  BATCH_SERVER_ALLOW           hosts and networks on private addresses that retrievals may lead to
  CORS_ORIGINS                 origins, separated by commas, whose pages may call it, or *
  LOG_LEVEL                    debug, info, warning, error or none
  OTEL_EXPORTER_OTLP_ENDPOINT  where traces go, such as http://127.0.0.1:4318
  OTEL_EXPORTER_OTLP_HEADERS   headers for the collector: name=value, separated by commas

A secret may lie in a file, which <NAME>_FILE names: CRUSTDATA_API_KEY_FILE, BATCH_SERVER_TOKENS_FILE,
BATCH_SERVER_STORE_FILE, BATCH_SERVER_SECRET_FILE, BATCH_SERVER_WEBHOOK_SECRET_FILE,
OTEL_EXPORTER_OTLP_HEADERS_FILE. docs/service.md of the repository has all settings, /docs of the running
service its paths.
`

const print = (text: string): Effect.Effect<never, ExitWithCode> =>
  Effect.zipRight(Console.log(text.trimEnd()), new ExitWithCode({ code: 0 }))

/** Explains itself if `args` ask for that, refuses whatever else they say, and serves if there are none. */
export const run = <E>(
  args: ReadonlyArray<string>,
  serve: Effect.Effect<never, E>
): Effect.Effect<never, E | ExitWithCode> => {
  const [first] = args
  if (first === undefined) return serve
  if (/^(?:--help|-h|help)$/u.test(first)) return print(usage)
  if (/^(?:--version|-V|version)$/u.test(first)) return print(version)
  return Effect.zipRight(
    Console.error(
      "error: batch-server takes --help and --version only; its settings are environment variables"
    ),
    new ExitWithCode({ code: 2 })
  )
}
