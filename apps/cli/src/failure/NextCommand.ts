/**
 * The advice under a failure: the command that resumes or repeats the work, or the one that shows the cause.
 */
import type { StorageError } from "@org/batch-core/BatchError"
import { Duration, Option } from "effect"
import { again, command } from "../terminal/CommandLine.js"
import { duration } from "../terminal/Humanize.js"
import type { Circumstances, Failure } from "./CliError.js"

/** The text behind `next`, its command quoted so that it can be pasted into a shell. */
export const of = (failure: Failure, { batchId, commandLine }: Circumstances): string => {
  const ids = batchId === undefined ? undefined : [batchId]
  const same = (add: ReadonlyArray<string> = []) => again(commandLine, { ids, add })
  switch (failure._tag) {
    case "NotAuthorized":
      return failure.reason === "InvalidKey"
        ? `set CRUSTDATA_API_KEY to a valid key (${command("doctor")} shows what is set), then ${same()}`
        : `${command("doctor")} tells what the API says of the key; then ${same()}`
    case "RequestRejected":
      return command("doctor")
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
      return failure.reason === "RowCount" && commandLine.argv[0] !== "verify"
        ? `${same()}, or accept it as it is: ${same(["--allow-incomplete"])}`
        : commandLine.argv[0] === "verify"
          ? "download it again: batchctl get <batch-id> --force with -o and this file"
          : same()
    case "StorageError":
      return storage(failure, same)
    case "UsageError":
      return Option.getOrElse(failure.hint, () => `${command(...commandLine.argv.slice(0, 1), "--help")}`)
    case "SettingsError":
      return `correct or unset ${failure.setting}, then ${again(commandLine)}`
    case "SandboxUnavailable":
      return `${command("sandbox", "--port", "0")} takes any free port`
    case "ColumnsNotFound":
      return `correct --columns; the first line of a table of all columns has their names: ${again(commandLine, { ids, without: ["--columns"] })}`
    case "RecordInvalid":
      return `take the rows as they are: ${again(commandLine, { ids, without: ["--format", "--columns"], add: ["--format", "jsonl"] })}`
  }
}

const storage = (failure: StorageError, same: (add?: ReadonlyArray<string>) => string): string => {
  switch (failure.reason) {
    case "Exists":
      return `another name with -o, or replace it: ${same(["--force"])}`
    case "NoSpace":
      return `make room, then ${same()}`
    default:
      return `choose another place with -o, or make this one writable, then ${same()}`
  }
}
