/**
 * The kind of job, from the words behind a command, or from one as `company/enrich`.
 */
import * as JobKind from "@org/batch-core/JobKind"
import { nearest } from "@org/batch-core/Suggestion"
import { Effect, Option } from "effect"
import { UsageError } from "../failure/CliError.js"
import { listed } from "../syntax/Listing.js"
import { again, command, CommandLine } from "../terminal/CommandLine.js"

/** The kind that two words name, as `company enrich`. */
export const parse = (
  words: ReadonlyArray<string>
): Effect.Effect<JobKind.JobKind, UsageError, CommandLine> =>
  Effect.gen(function* () {
    const [entity = "", action = ""] = words
    const kind = JobKind.find(entity, action)
    if (kind !== undefined) return kind
    const commandLine = yield* CommandLine
    const meant = JobKind.named(nearest(`${entity}/${action}`, names) ?? "")
    const hint =
      meant === undefined
        ? command(...commandLine.argv.slice(0, 1), "--help")
        : again(commandLine, { ids: [meant.entity, meant.action] })
    return yield* new UsageError({
      detail: `there is no job ${entity} ${action}${meant === undefined ? `: ${thereAre(entity)}` : `; did you mean ${meant.entity} ${meant.action}?`}`,
      hint: Option.some(hint),
      batchId: Option.none()
    })
  })

const names = JobKind.all.map(({ name }) => name)

const thereAre = (entity: string): string => {
  const same = JobKind.all.filter((kind) => kind.entity === entity)
  return same.length > 0
    ? `${entity} has ${listed(
        same.map(({ action }) => action),
        "and"
      )}`
    : `there are ${listed(
        JobKind.all.map((kind) => `${kind.entity} ${kind.action}`),
        "and"
      )}`
}
