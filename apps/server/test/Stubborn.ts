/** The service with a short grace and deadline; with `STUCK`, something in it never ends. */
import { ConfigProvider, Effect, Layer } from "effect"
import * as Logging from "../src/Logging.js"
import * as ProcessExit from "../src/ProcessExit.js"
import * as Server from "../src/Server.js"
import * as Settings from "../src/Settings.js"
import * as Tracing from "../src/Tracing.js"

const { DEADLINE = "", GRACE = "", STUCK } = process.env

const stuck = STUCK === undefined ? Layer.empty : Layer.scopedDiscard(Effect.addFinalizer(() => Effect.never))

const service = Layer.merge(Server.layer(process.env, { grace: Number(GRACE) }), stuck).pipe(
  Layer.provide(Layer.merge(Logging.layer(false), Tracing.layer)),
  Layer.provide(Settings.layer),
  Layer.provide(Layer.setConfigProvider(ConfigProvider.fromEnv({ pathDelim: "_" })))
)

ProcessExit.run(process, Layer.launch(service), { deadline: Number(DEADLINE) })
