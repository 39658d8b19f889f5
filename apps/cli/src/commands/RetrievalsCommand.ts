/**
 * `batchctl retrievals`: what was handed to the service.
 */
import { Effect, Option } from "effect"
import * as Timeout from "../options/Timeout.js"
import * as Commands from "../syntax/Commands.js"
import * as Command from "./Command.js"

/** `batchctl retrievals <action> [<retrieval-id>...]` */
export const command = Command.make(Commands.retrievals, ({ positionals: [action = "", ...ids], values }) =>
  Effect.flatMap(
    Effect.promise(() => import("../run/RetrievalActions.js")),
    ({ run }) =>
      run({
        action,
        ids,
        state: Option.fromNullable(values.state),
        batch: Option.fromNullable(values.batch),
        limit: Option.map(Option.fromNullable(values.limit), Number),
        all: values.all === true,
        timeout: Timeout.of(values),
        json: values.json === true,
        quiet: values.quiet === true
      })
  )
)
