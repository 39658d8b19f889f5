/** The service with times of its own, in milliseconds; with `STUCK`, something in it never ends. */
import { ConfigProvider, Effect, Layer } from "effect"
import * as Logging from "../src/Logging.js"
import * as ProcessExit from "../src/ProcessExit.js"
import * as Server from "../src/Server.js"
import * as Settings from "../src/Settings.js"
import * as Tracing from "../src/Tracing.js"

const { DEADLINE = "100000", GRACE = "30000", HEADERS = "10000", STUCK } = process.env

const stuck = STUCK === undefined ? Layer.empty : Layer.scopedDiscard(Effect.addFinalizer(() => Effect.never))

const service = Layer.merge(
  Server.layer(process.env, { grace: Number(GRACE), headersTimeout: Number(HEADERS) }),
  stuck
).pipe(
  Layer.provide(Layer.merge(Logging.layer(false), Tracing.layer)),
  Layer.provide(Settings.layer),
  Layer.provide(Layer.setConfigProvider(ConfigProvider.fromEnv({ pathDelim: "_" })))
)

ProcessExit.run(process, Layer.launch(service), { deadline: Number(DEADLINE) })
