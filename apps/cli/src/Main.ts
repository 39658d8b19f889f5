/**
 * The entry point: runs the command line on Node and turns its end into an exit code.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Signals from "@org/batch-node/Signals"
import { Effect, Exit } from "effect"
import * as Cli from "./Cli.js"
import * as Process from "./Process.js"
import * as ExitCode from "./failure/ExitCode.js"
import * as Report from "./failure/Report.js"

const signalled = Signals.watch(process, { gracePeriod: "800 millis" })

Report.settle(Cli.run).pipe(
  Effect.provide(Process.layer),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    disablePrettyLogger: true,
    teardown: (exit, onExit) =>
      onExit(
        signalled() ?? (Exit.isSuccess(exit) && typeof exit.value === "number" ? exit.value : ExitCode.bug)
      )
  })
)
