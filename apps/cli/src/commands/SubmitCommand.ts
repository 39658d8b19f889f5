/**
 * `batchctl submit`: starts a job, once, and tells its id; with `--wait` its results as well.
 */
import { type Batch, BatchId, toJson } from "@org/batch-core/Batch"
import * as SubmitRequest from "@org/batch-core/SubmitRequest"
import { Effect, Option, Schema } from "effect"
import { randomUUID } from "node:crypto"
import * as Inputs from "../options/Inputs.js"
import * as Kind from "../options/Kind.js"
import * as OutputOptions from "../options/OutputOptions.js"
import * as RequestOptions from "../options/RequestOptions.js"
import * as Timeout from "../options/Timeout.js"
import * as CoreLayer from "../settings/CoreLayer.js"
import * as Settings from "../settings/Settings.js"
import * as Commands from "../syntax/Commands.js"
import * as Flags from "../syntax/Flags.js"
import type { Values } from "../syntax/Reading.js"
import { command as commandOf, CommandLine } from "../terminal/CommandLine.js"
import { credits as amount, plural } from "../terminal/Humanize.js"
import { Stderr } from "../terminal/Stderr.js"
import { Stdout } from "../terminal/Stdout.js"
import { unbroken } from "../terminal/Wrap.js"
import * as Command from "./Command.js"
import * as GetCommand from "./GetCommand.js"

type Typed = Values<typeof Commands.submit.flags>["values"]

const run = Effect.fn("SubmitCommand.run")(function* (words: ReadonlyArray<string>, typed: Typed) {
  const kind = yield* Kind.parse(words)
  yield* checkWait(typed)
  const { inputs, request } = yield* Effect.provide(RequestOptions.read(kind, typed), Settings.layer)
  const { line } = yield* Stderr
  const say = (text: string) => (typed.quiet === true ? Effect.void : line(text))
  yield* Effect.forEach(leftOut(inputs), say, { discard: true })
  if (typed["dry-run"] === true) {
    yield* say(`dry run: ${inWords(request)}; nothing was sent`)
    return yield* (yield* Stdout).json(request.body)
  }
  const submission = yield* Effect.promise(() => import("../run/Submission.js"))
  const work = Effect.gen(function* () {
    const batch = yield* submission.send(request)
    yield* tell(batch, typed)
    if (typed.wait === true) return yield* wait(batch, typed)
    yield* say(`submitted: ${inWords(request)}`)
    yield* say(`  next   ${unbroken(commandOf("get", batch.batchId))}`)
  })
  yield* Effect.provide(work, CoreLayer.layer)
})

/** What is wrong with the flags of the wait, and with the place of the results, before anything is sent. */
const checkWait = (typed: Typed) =>
  Effect.gen(function* () {
    const given = Object.keys(ofWait).find((name) => Object.hasOwn(typed, name))
    if (typed.wait !== true) {
      if (given === undefined) return
      return yield* Inputs.misused(`--${given} is about the results: it goes with --wait`)
    }
    yield* Timeout.start(Timeout.of(typed))
    const request = OutputOptions.of(typed)
    // No job has this id, so what is named by the id cannot be there yet.
    const id = yield* Effect.orDie(Schema.decode(BatchId)(randomUUID()))
    const destination = yield* OutputOptions.resolve([id], request)
    if (destination._tag === "Stdout") {
      return yield* Inputs.misused(
        `-o - and the batch id both want standard output: give a file, or batchctl get "$(batchctl submit …)" -o -`
      )
    }
    const { check } = yield* Effect.promise(() => import("@org/batch-core/Retrieval"))
    yield* check(id, {
      ...request,
      output: destination.path(id),
      format: destination.format,
      columns: undefined,
      concurrency: undefined
    })
  })

const { json: _json, quiet: _quiet, ...ofOutput } = Flags.output
const ofWait = { timeout: Flags.timeout, ...ofOutput }

const leftOut = (inputs: Option.Option<Inputs.Inputs>): ReadonlyArray<string> =>
  Option.match(inputs, {
    onNone: () => [],
    onSome: ({ duplicates, empty }) => [
      ...(duplicates === 0 ? [] : [`note: ${plural(duplicates, "duplicate")} left out`]),
      ...(empty === 0 ? [] : [`note: ${plural(empty, "empty row")} left out`])
    ]
  })

/** `company enrich, 2 inputs, at most 4 credits`. */
const inWords = (request: SubmitRequest.SubmitRequest): string => {
  const { identifiers, kind } = request
  const most = SubmitRequest.countAtMost(request)
  const size = Option.isSome(identifiers) ? plural(most, "input") : `at most ${plural(most, "record")}`
  const credits = Option.match(SubmitRequest.creditsAtMost(request), {
    onNone: () => "for a price that is not published",
    onSome: (cost) => `at most ${amount(cost)} ${cost === 1 ? "credit" : "credits"}`
  })
  return `${kind.entity} ${kind.action}, ${size}, ${credits}`
}

const tell = (batch: Batch, { json }: Typed) =>
  Effect.flatMap(Stdout, (stdout) =>
    json === true ? stdout.json(toJson(batch)) : stdout.line(batch.batchId)
  )

/** From here on it is `get`, whose command picks it up again. */
const wait = ({ batchId }: Batch, typed: Typed) =>
  Effect.gen(function* () {
    const flags = Object.entries({ ...ofWait, json: Flags.output.json, quiet: Flags.quiet })
    const given: Readonly<Record<string, unknown>> = typed
    const argv = flags.flatMap(([name, { type }]) =>
      given[name] === undefined ? [] : type === "boolean" ? [`--${name}`] : [`--${name}`, String(given[name])]
    )
    const commandLine = yield* CommandLine
    yield* GetCommand.deliver({
      ids: [batchId],
      submitted: true,
      timeout: Timeout.of(typed),
      ...OutputOptions.of(typed)
    }).pipe(Effect.provideService(CommandLine, { ...commandLine, argv: ["get", batchId, ...argv] }))
  })

/** `batchctl submit <entity> <action>` */
export const command = Command.make(Commands.submit, ({ positionals, values }) => run(positionals, values))
