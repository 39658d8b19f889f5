/**
 * The advice under a failure: the command that resumes or repeats the work, or the one that shows the cause.
 */
import type { StorageError } from "@org/batch-core/BatchError"
import * as Format from "@org/batch-core/Format"
import * as JobKind from "@org/batch-core/JobKind"
import * as Receipt from "@org/batch-core/Receipt"
import { Duration, Option } from "effect"
import * as Commands from "../syntax/Commands.js"
import { listed } from "../syntax/Listing.js"
import { open } from "../syntax/Reading.js"
import { nearest } from "@org/batch-core/Suggestion"
import * as CommandLine from "../terminal/CommandLine.js"
import { duration } from "../terminal/Humanize.js"
import { unbroken } from "../terminal/Wrap.js"
import type { Circumstances, Failure, ServiceError } from "./CliError.js"

const command = (...words: ReadonlyArray<string>): string => unbroken(CommandLine.command(...words))

const again: typeof CommandLine.again = (...of) => unbroken(CommandLine.again(...of))

/** The text behind `next`, its command quoted so that it can be pasted into a shell, and unbroken (see `Wrap`). */
export const of = (failure: Failure, circumstances: Circumstances): string => {
  const { batchId, commandLine, file } = circumstances
  if (file !== undefined) return ofFile(failure, { ...circumstances, file })
  const [verb = ""] = commandLine.argv
  const ids = batchId === undefined || !Commands.takesIds(verb) ? undefined : [batchId]
  const same = (add: ReadonlyArray<string> = []) => again(commandLine, { ids, add })
  switch (failure._tag) {
    case "NotAuthorized":
      return failure.reason === "InvalidKey"
        ? `set CRUSTDATA_API_KEY to a valid key (${command("doctor")} shows what is set), then ${same()}`
        : `${command("doctor")} tells what the API says of the key; then ${same()}`
    case "RequestRejected":
      if (verb === "submit") return `correct the request; ${same(["--dry-run"])} shows it`
      return openValue(commandLine) ?? command("doctor")
    case "RequestInvalid":
      if (verb === "run" && Option.isNone(failure.property)) {
        const [first, ...others] = JobKind.named(failure.kind)?.identifiers ?? []
        const more = others.map(({ name }) => ` or --as ${name}`).join("")
        if (first !== undefined && more !== "") return `${same(["--as", first.name])}${more}`
      }
      return command(...commandLine.argv.slice(0, 1), "--help")
    case "SubmitUnknown":
      return `${command("list")} shows whether there is such a job; only if there is none: ${same()}`
    case "CampaignTimeout":
      return command("run", "--resume", failure.campaign)
    case "InputInvalid":
    case "CampaignRefused":
      return command(...commandLine.argv.slice(0, 1), "--help")
    case "BatchNotFound":
      return `${command("list")} shows the batches of this key`
    case "RateLimited":
      return `in ${duration(Duration.toMillis(failure.retryAfter))}: ${same()}`
    case "ApiUnavailable":
      return `${same()} (${command("doctor")} looks for the cause)`
    case "MalformedResponse":
      return `${command("doctor")} (is CRUSTDATA_BASE_URL right?)`
    case "BatchFailed":
      return `submit the job again; ${command("status", failure.batch.batchId, "--json")} shows all that is known`
    case "BatchNotCompleted":
      return again(commandLine, { verb: "get", ids })
    case "WaitTimeout":
      return same()
    case "ResultsUnavailable":
      return failure.reason === "Changed" || failure.reason === "Expired" || failure.batchId === undefined
        ? same()
        : `${command("status", failure.batchId)} shows what the API has of it; then ${same()}`
    case "TransferFailed":
      return `${same()} (goes on from the bytes that are here)`
    case "ResultsCorrupt":
      return failure.reason === "RowCount" && takes(commandLine, "allow-incomplete")
        ? `${same()}, or accept it as it is: ${same(["--allow-incomplete"])}`
        : same()
    case "StorageError":
      return isTemporary(failure, commandLine)
        ? `set TMPDIR to a folder with room that can be written, then ${same()}`
        : storage(failure, commandLine, same)
    case "UsageError":
      return Option.match(failure.hint, {
        onNone: () => command(...commandLine.argv.slice(0, 1), "--help"),
        // A hint ends with its command.
        onSome: (hint) => hint.replace(/batchctl .*$/su, unbroken)
      })
    case "SettingsError":
      return `correct or unset ${failure.setting}, then ${again(commandLine)}`
    case "ServiceError":
      return ofService(failure, commandLine, same())
    case "SandboxUnavailable":
      return `${command("sandbox", "--port", "0")} takes any free port`
    case "ColumnsNotFound":
      return `correct --columns; the first line of a table of all columns has their names: ${again(commandLine, { ids, without: ["--columns"] })}`
    case "RecordInvalid":
      return `take the rows as they are: ${asLines(circumstances)}`
  }
}

/** What to do about a refusal of the service that keeps retrievals. */
const ofService = (
  { status, type }: ServiceError,
  { argv: [verb = ""] }: Circumstances["commandLine"],
  same: string
): string => {
  if (type === "RetrievalNotFound") return command("retrievals", "list")
  if (type === "MalformedResponse") return `correct BATCH_SERVER_URL, then ${same}`
  return Option.match(status, {
    onNone: () => `start the service, or correct BATCH_SERVER_URL, then ${same}`,
    onSome: (code) =>
      code === 401
        ? `set BATCH_SERVER_TOKEN to a token of the service, then ${same}`
        : code === 409
          ? `${command("retrievals", "list")} shows how they stand`
          : code < 429
            ? command(verb, "--help")
            : same
  })
}

const output = ["-o", "--output"]

/** The same command without a table: its rows in a file of another name, or in the same place where that names none. */
const asLines = ({ batchId, commandLine }: Circumstances): string => {
  const ids = batchId === undefined ? undefined : [batchId]
  const file = CommandLine.valueOf(commandLine, output) ?? ""
  const lines = file.replace(/\.csv$/iu, ".jsonl")
  const without = ["--format", "--columns", "--bom", ...(lines === file ? [] : output)]
  return again(commandLine, { ids, without, add: lines === file ? ["--format", "jsonl"] : ["-o", lines] })
}

/** Whether it is about the temporary folder, in which rows lie that go to standard output. */
const isTemporary = (failure: StorageError, commandLine: Circumstances["commandLine"]): boolean =>
  CommandLine.valueOf(commandLine, output) === "-" && failure.path !== "standard output"

/** What to do about a file that was read again, and is wrong or not there. */
const ofFile = (
  failure: Failure,
  { commandLine, file, receipt }: Circumstances & { readonly file: string }
) => {
  if (failure._tag === "StorageError" && failure.reason === "Denied") {
    return `make it readable, then ${again(commandLine, { ids: [file] })}`
  }
  if (receipt !== undefined) return `download it again: ${delivering(file, receipt)}`
  return failure._tag === "StorageError"
    ? "give a results file, or a folder with results"
    : `download it again: ${unbroken(`batchctl get <batch-id> --force -o ${CommandLine.quoted(file)}`)}`
}

/** The command that brings what a receipt tells of. */
const delivering = (file: string, receipt: Receipt.Receipt): string => {
  const isParts = Receipt.namesOf(receipt).length > 0
  const isNamed = isParts || Option.contains(Format.ofName(file), receipt.format)
  return command(
    "get",
    receipt.batchId,
    "-o",
    file,
    "--force",
    "--receipt",
    ...(isParts ? ["--parts"] : []),
    ...(isNamed ? [] : ["--format", receipt.format]),
    ...Option.match(receipt.columns, {
      onNone: () => [],
      onSome: (columns) => [
        "--columns",
        columns.map((name) => name.replaceAll(",", String.raw`\,`)).join(",")
      ]
    })
  )
}

/** What a flag takes whose values are the vendor's, when the vendor has refused the one that was typed. */
const openValue = (commandLine: Circumstances["commandLine"]): string | undefined => {
  const typed = open(commandLine.argv)
  if (typed === undefined) return undefined
  const { flag, known, value } = typed
  const instead = nearest(value, known) ?? known[0] ?? ""
  const line = again(commandLine, { without: [flag], add: [flag, instead] })
  return `${flag} takes ${listed(known, "or")}, such as ${line}`
}

/** Whether the command of a command line has a flag. */
const takes = ({ argv: [verb = ""] }: Circumstances["commandLine"], flag: string): boolean =>
  Commands.isName(verb) && Object.hasOwn(Commands.all[verb].flags, flag)

/** Whether it is about the record of what was submitted. */
const isState = ({ path }: StorageError): boolean =>
  /[/\\]batchctl[/\\](?:submits|campaigns)(?:[/\\]|$)/u.test(path)

const storage = (
  failure: StorageError,
  commandLine: Circumstances["commandLine"],
  same: (add?: ReadonlyArray<string>) => string
): string => {
  if (isState(failure)) {
    return `make it writable, or set XDG_STATE_HOME to a folder that is, then ${same()}`
  }
  switch (failure.reason) {
    case "Exists":
      if (!takes(commandLine, "force")) return `move it away, then ${same()}`
      return `another name with -o, or replace it: ${same(["--force"])}`
    case "Unreadable":
      return `see what is there, then ${same()}`
    case "NoSpace":
      return `make room, then ${same()}`
    default:
      return `choose another place with -o, or make this one writable, then ${same()}`
  }
}
