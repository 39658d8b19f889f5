/**
 * All commands as data, in the order in which help shows them.
 */
import type { knownStatuses } from "@org/batch-core/Batch"
import { count } from "@org/batch-core/CountText"
import * as JobKind from "@org/batch-core/JobKind"
import * as Flags from "./Flags.js"
import { listed } from "./Listing.js"
import type { Argument, Command, Section } from "./Syntax.js"

const id = "01234567-89ab-4cde-8f01-23456789abcd"

const ids: Argument = {
  term: "<batch-id>...",
  about: "The id of a batch job, a UUID; several are carried to their end side by side.",
  repeated: true,
  path: false
}

/** What a job is to do, as two words. */
const kind: Argument = {
  term: "<entity> <action>",
  about: "What the job is to do, such as company enrich.",
  repeated: false,
  path: false,
  words: {
    count: 2,
    known: [
      ...new Set([...JobKind.all.map(({ entity }) => entity), ...JobKind.all.map(({ action }) => action)])
    ]
  }
}

const costOf = ({ price }: JobKind.JobKind): string =>
  price === undefined ? "" : `; at most ${price.atMost} ${price.atMost === 1 ? "credit" : "credits"} each`

/** The kinds of job, and what each takes. */
const kinds: Section = {
  title: "Kinds of job",
  rows: JobKind.all.map((one) => {
    const { action, cap, entity, identifiers } = one
    const takes =
      identifiers.length === 0
        ? `a query in --body; up to ${count(cap)} records`
        : `${listed(
            identifiers.map(({ name }) => Flags.dashed(name)),
            "or"
          )}; up to ${count(cap)}`
    return [`${entity} ${action}`, `${takes}${costOf(one)}`]
  })
}

const statuses = {
  pending: "not begun",
  processing: "running",
  completed: "results are there",
  failed: "ended without results"
} as const satisfies Readonly<Record<(typeof knownStatuses)[number], string>>

/** `batchctl get` */
export const get = {
  group: "main",
  about: "Wait for jobs, then download their results, verified: the main job.",
  argument: ids,
  flags: {
    timeout: Flags.timeout,
    ...Flags.output,
    ...Flags.list,
    detach: {
      type: "boolean",
      about:
        "Hand it to the service at BATCH_SERVER_URL and print the retrieval's id; -o is below the service's folder, or s3://bucket/key."
    },
    notify: {
      type: "string",
      value: "URL",
      about: "With --detach: what the service calls, signed, when it is done or has failed."
    }
  },
  examples: [
    { line: `batchctl get ${id}`, does: "wait, download, verify: ./<batch-id>.jsonl.gz" },
    { line: `batchctl get ${id} -o rows.jsonl`, does: "decompressed" },
    { line: `batchctl get ${id} -o rows.csv`, does: "a table" },
    {
      line: `batchctl get ${id} -o rows.csv --columns internal_id,data.basic_info.name`,
      does: "some columns of it"
    },
    {
      line: `batchctl get ${id} -o - | jq .data.basic_info.name`,
      does: "rows on standard output, verified first"
    },
    { line: `batchctl get ${id} -o out/ --receipt`, does: "into a folder, with the proof beside it" },
    {
      line: `batchctl get ${id} -o rows.jsonl.gz --input leads.csv --column website`,
      does: "with the fate of each input of the job"
    }
  ]
} as const satisfies Command

/** `batchctl wait` */
export const wait = {
  group: "main",
  about: "Wait until batch jobs have ended.",
  argument: ids,
  flags: {
    timeout: Flags.timeout,
    json: Flags.json("Print the API's own JSON of the final state."),
    quiet: Flags.quiet
  },
  examples: [{ line: `batchctl wait ${id} --timeout 2h && echo done`, does: "wait for the end" }]
} as const satisfies Command

/** `batchctl download` */
export const download = {
  group: "main",
  about: "Download the results of completed jobs, verified; resumes what was interrupted.",
  argument: ids,
  flags: Flags.output,
  examples: [{ line: `batchctl download ${id} -o out/ --json`, does: "into a folder; the receipt as JSON" }]
} as const satisfies Command

/** `batchctl submit` */
export const submit = {
  group: "main",
  about:
    "Submit a job, once: the batch id is on the disk before it is printed, and nothing is ever sent twice.",
  argument: kind,
  flags: {
    ...Flags.identifiers,
    ...Flags.list,
    body: {
      type: "string",
      value: "FILE",
      path: true,
      about: "A request as JSON, which the other flags add to; - is standard input."
    },
    ...Flags.request,
    "dry-run": {
      type: "boolean",
      about: "Print the request, and what it costs at most; nothing is sent."
    },
    wait: { type: "boolean", about: "Wait for the job and download its results, as get does." },
    timeout: Flags.timeout,
    ...Flags.output,
    output: {
      ...Flags.output.output,
      about:
        "With --wait: a file; or a folder (one that exists, or a name that ends in /). Default: ./<batch-id>.jsonl.gz"
    },
    json: Flags.json("Print the API's answer in place of the batch id; with --wait the receipt too.")
  },
  section: kinds,
  examples: [
    { line: "batchctl submit company enrich --domains acme.com,example.org", does: "prints the batch id" },
    {
      line: "batchctl submit company enrich --input leads.csv --column website --as domains --dry-run",
      does: "what would be sent, and its price"
    },
    {
      line: "batchctl submit person enrich --business-emails jane@acme.com --wait -o rows.csv",
      does: "and its results"
    },
    { line: "batchctl submit company search --body query.json --max-results 500", does: "a search" }
  ]
} as const satisfies Command

/** `batchctl collect` */
export const collect = {
  group: "main",
  about: "Download every completed job of the account that is not in a folder yet; made for cron.",
  flags: {
    output: {
      type: "string",
      short: "o",
      value: "DIR",
      path: true,
      about: "The folder: <batch-id>.<format> and <batch-id>.receipt.json of each job. Must be given."
    },
    since: {
      type: "string",
      value: "WHEN",
      about: "Only jobs completed since then: a date (2026-11-01) or a duration (2d)."
    },
    kind: {
      type: "string",
      value: "KIND",
      values: Object.fromEntries(
        JobKind.all.map(({ action, entity, name }) => [name, `${entity} ${action}`])
      ),
      about: "Only jobs of this kind, as company/enrich."
    },
    format: {
      ...Flags.output.format,
      about: "jsonl.gz (the bytes as delivered, the default), jsonl or csv."
    },
    "dry-run": { type: "boolean", about: "Print what would be downloaded; nothing is." },
    json: Flags.json("Print the receipt of each job, one JSON object a line."),
    quiet: {
      type: "boolean",
      short: "q",
      about: "No progress, no notices and no summary on standard error; errors still."
    }
  },
  examples: [
    { line: "batchctl collect -o results/", does: "all that is not there yet" },
    { line: "batchctl collect -o results/ --since 2d --kind person/identify", does: "some of it" },
    { line: "batchctl collect -o results/ --dry-run", does: "only look" }
  ]
} as const satisfies Command

/** `batchctl status` */
export const status = {
  group: "look",
  about: "Show the state of batch jobs as it is now.",
  argument: ids,
  flags: {
    json: Flags.json("Print the API's own JSON, one object per line; links are masked."),
    "show-urls": {
      type: "boolean",
      about: "Show the download links in full. Whoever reads them can read the results."
    },
    "exit-status": {
      type: "boolean",
      about: "Exit with 4 when a job failed and with 5 when it is still running."
    }
  },
  examples: [
    { line: `batchctl status ${id}`, does: "the state of a job" },
    { line: `batchctl status ${id} --json | jq -r .status`, does: "for a script" },
    { line: `batchctl status ${id} --exit-status && batchctl download ${id}`, does: "only if it is over" }
  ]
} as const satisfies Command

/** `batchctl list` */
export const list = {
  group: "look",
  about: "List the account's batch jobs, newest first.",
  flags: {
    status: {
      type: "string",
      value: "STATUS",
      values: statuses,
      open: true,
      about: "Only jobs in this state: pending, processing, completed or failed."
    },
    limit: { type: "string", value: "N", integer: true, about: "Jobs at most; 20 unless told otherwise." },
    all: { type: "boolean", about: "All jobs of the account." },
    json: Flags.json("Print the API's own JSON, one job per line.")
  },
  examples: [
    { line: "batchctl list --status processing", does: "the jobs that run" },
    { line: "batchctl list --all --json | jq -r .batch_id", does: "every id, for a script" }
  ]
} as const satisfies Command

/** `batchctl verify` */
export const verify = {
  group: "look",
  about:
    "Check delivered results again, offline: against their receipts; without one, that all of it can be read.",
  argument: {
    term: "<file>...",
    about: "A results file, or a folder with results; all are checked, whatever is wrong with one.",
    repeated: true,
    path: true
  },
  flags: {
    json: Flags.json("Print what was found as JSON, one object per result and line."),
    quiet: {
      type: "boolean",
      short: "q",
      about: "Print nothing of results that are as they should be, unless --json asks for it."
    }
  },
  examples: [
    { line: "batchctl verify rows.jsonl.gz", does: "check a file again" },
    { line: "batchctl verify --quiet out/ && echo sound", does: "all of a folder, for a script" }
  ]
} as const satisfies Command

/** `batchctl doctor` */
export const doctor = {
  group: "tools",
  about: "Check settings, network, disk and clock; shows no secrets.",
  flags: { json: Flags.json("Print the findings as one JSON object.") },
  examples: [{ line: "batchctl doctor", does: "is everything set and reachable?" }]
} as const satisfies Command

/** `batchctl sandbox` */
export const sandbox = {
  group: "tools",
  about: "Run a local batch API with storage and a few jobs to try, until Ctrl-C.",
  flags: {
    port: {
      type: "string",
      value: "N",
      integer: true,
      about: "Port of the API; 0 takes any free one. Default: 8788"
    },
    host: { type: "string", value: "ADDRESS", about: "Address to listen on. Default: 127.0.0.1" },
    "storage-port": {
      type: "string",
      value: "N",
      integer: true,
      about: "Port of the file storage; any free one unless told otherwise."
    },
    credits: {
      type: "string",
      value: "N",
      integer: true,
      about: "Credits of the account, which completed jobs take. Default: 1000000"
    },
    "max-active": {
      type: "string",
      value: "N",
      integer: true,
      about: "Jobs that may be active at a time; two of the examples are. Default: 5"
    }
  },
  examples: [
    { line: "batchctl sandbox", does: "a batch API to play with" },
    { line: "batchctl sandbox --port 0", does: "on any free port" }
  ]
} as const satisfies Command

/** `batchctl demo` */
export const demo = {
  group: "tools",
  about: "Show the main job in a few seconds: submit, wait, download, verify. No key needed.",
  flags: {
    records: {
      type: "string",
      value: "N",
      integer: true,
      about: "Companies to submit, 1 to 10,000. Default: 1000"
    }
  },
  examples: [
    { line: "batchctl demo", does: "the main job, without a key" },
    { line: "batchctl demo --records 50", does: "a small one" }
  ]
} as const satisfies Command

/** `batchctl run` */
export const run = {
  group: "main",
  about: "Submit a list of any length, and join the results: a campaign. The same command again goes on.",
  argument: {
    term: "<entity> <action>",
    about: "What is done with the list, such as company enrich or person identify.",
    repeated: true,
    path: false
  },
  flags: {
    ...Flags.list,
    output: {
      type: "string",
      short: "o",
      value: "OUT",
      path: true,
      about:
        "The joined result; OUT.fates.csv, OUT.remainder.csv and OUT.report.json go beside it, without its extension."
    },
    format: Flags.output.format,
    join: {
      type: "boolean",
      about: "One line per input row, with its record or null, in the order of the input."
    },
    fields: { type: "string", value: "LIST", about: "The fields to ask for, separated by commas." },
    "max-active": {
      type: "string",
      value: "N",
      integer: true,
      about: "Jobs active at a time, at most. Default: 4, so that a colleague has one of the 5 slots"
    },
    "max-credits": {
      type: "string",
      value: "N",
      about: "Credits at most, a hard bound: what may cost more is refused before anything is sent."
    },
    timeout: {
      type: "string",
      value: "DURATION",
      about:
        "How long, such as 30m or 12h; then it ends with 5, and goes on with the next run. Default: as long as it takes"
    },
    yes: { type: "boolean", short: "y", about: "Start without asking; needed where there is no terminal." },
    "retry-failed": { type: "boolean", about: "Submit the inputs of failed jobs again." },
    resume: { type: "string", value: "CAMPAIGN", about: "Go on with a campaign that batchctl runs shows." },
    json: Flags.json("Print the report as one JSON object."),
    quiet: Flags.quiet
  },
  section: kinds,
  examples: [
    {
      line: "batchctl run company enrich --input leads.csv --column website --as domains -o companies.jsonl.gz",
      does: "a list to one result"
    },
    {
      line: "batchctl run person identify --input people.csv --column email --as emails -o out.jsonl --join",
      does: "one line per input row"
    },
    {
      line: "batchctl run company enrich --input - --as domains -o out.csv --max-credits 5000 --yes < domains.txt",
      does: "in a cron job"
    }
  ]
} as const satisfies Command

/** `batchctl runs` */
export const runs = {
  group: "look",
  about: "List the campaigns of this machine, newest first, with their progress.",
  flags: { json: Flags.json("Print one JSON object per campaign and line.") },
  examples: [{ line: "batchctl runs", does: "which campaigns are there?" }]
} as const satisfies Command

const retrievalStates = {
  waiting: "for the job or for its turn",
  running: "it downloads",
  done: "delivered",
  failed: "ended without results",
  cancelled: "stopped"
} as const

/** `batchctl retrievals` */
export const retrievals = {
  group: "look",
  about: "List, show, watch, stop or retry what was handed to the service with get --detach.",
  argument: {
    term: "<action> [<retrieval-id>...]",
    about: "list; or show, watch, stop or retry with the ids that get --detach printed.",
    repeated: true,
    path: false,
    words: { count: 1, known: ["list", "show", "watch", "stop", "retry"] }
  },
  flags: {
    state: {
      type: "string",
      value: "STATE",
      values: retrievalStates,
      about: "Of list: only those in this state: waiting, running, done, failed or cancelled."
    },
    batch: { type: "string", value: "BATCH-ID", about: "Of list: only those of this batch." },
    limit: {
      type: "string",
      value: "N",
      integer: true,
      about: "Of list: retrievals at most; 20 unless told otherwise."
    },
    all: { type: "boolean", about: "Of list: all of them." },
    timeout: {
      type: "string",
      value: "DURATION",
      about: "Of watch: how long, such as 90s, 30m or 2h. Default: 30m. When it passes the retrieval goes on."
    },
    json: Flags.json("Print the service's own JSON, one retrieval per line."),
    quiet: Flags.quiet
  },
  examples: [
    { line: "batchctl retrievals list --state failed", does: "what needs a look" },
    { line: `batchctl retrievals watch ${id} && echo delivered`, does: "wait for the end" },
    { line: `batchctl retrievals retry ${id}`, does: "once the cause is mended" }
  ]
} as const satisfies Command

/** All commands by their names, in the order in which help shows them. */
export const all = {
  get,
  submit,
  run,
  collect,
  wait,
  download,
  status,
  list,
  runs,
  retrievals,
  verify,
  doctor,
  sandbox,
  demo
} as const

/** The name of a command. */
export type Name = keyof typeof all

/** Whether the arguments of a command are batch ids. */
export const takesIds = (word: string): boolean => {
  const command: Command | undefined = isName(word) ? all[word] : undefined
  return command?.argument === ids
}

/** Whether a word is the name of a command. */
export const isName = (word: string): word is Name => Object.hasOwn(all, word)

/** The names of all commands. */
export const names: ReadonlyArray<Name> = Object.keys(all).filter(isName)

/** What batchctl is, in a sentence. */
export const summary = "From a batch id of the Crustdata Batch API to complete, verified rows."

/** The exit codes and their meanings. */
export const exitCodes = {
  "0": "done, complete and verified",
  "1": "a bug in batchctl",
  "2": "usage: bad flag, bad id, bad setting",
  "3": "not allowed: no key, or the API refuses it",
  "4": "the job itself failed",
  "5": "the job is still running",
  "6": "the network or the API did not serve us",
  "7": "results missing, expired, changed, corrupt or incomplete",
  "8": "no such batch",
  "9": "local trouble: disk, permission, destination exists",
  "130, 143": "interrupted by SIGINT, SIGTERM"
} as const

/** The variables of the environment and their meanings. */
export const environment = {
  CRUSTDATA_API_KEY: "The API key. It is never taken from a flag and never shown.",
  CRUSTDATA_BASE_URL: "Root of the API; https://api.crustdata.com unless told otherwise.",
  "BATCH_POLL_…, BATCH_RETRY_…, BATCH_TRANSFER_…":
    "Every figure of waiting, retrying and downloading; the README lists them.",
  BATCH_SERVER_URL: "The service for get --detach and retrievals, and BATCH_SERVER_TOKEN a token of it.",
  XDG_STATE_HOME: "Where submits are recorded, in batchctl/submits; ~/.local/state unless told otherwise.",
  BATCH_DEBUG: "api shows requests, answers and pauses, as --log-level debug; 1 the stack of a bug.",
  "HTTPS_PROXY, NO_PROXY, …": "As everywhere, for the API and the files alike; NODE_EXTRA_CA_CERTS too.",
  "NO_COLOR, CI": "As everywhere."
} as const

/** Where the profile file lies unless `XDG_CONFIG_HOME` says otherwise. */
export const profileFile = "~/.config/batchctl/config"
