/**
 * The service, put together.
 */
import { HttpApiBuilder, HttpServer } from "@effect/platform"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import * as Address from "@org/batch-node/Address"
import * as Disk from "@org/batch-node/Disk"
import * as Network from "@org/batch-node/Network"
import { Effect, flow, Layer, Option } from "effect"
import * as Account from "./Account.js"
import { Api } from "./Api.js"
import * as Drain from "./Drain.js"
import * as Failures from "./Failures.js"
import * as Gate from "./Gate.js"
import * as Handlers from "./Handlers.js"
import * as Listener from "./Listener.js"
import * as Pages from "./Pages.js"
import * as Readiness from "./Readiness.js"
import * as RequestLog from "./RequestLog.js"
import { ServerSettings } from "./Settings.js"

/**
 * The network of the environment. When the API is on a public address, links must lead to public ones as well; where
 * it is somebody's own, or cannot be looked up yet, its links may be there, too.
 */
const network = (variables: Readonly<Record<string, string | undefined>>) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const { baseUrl } = yield* BatchConfig
      const { hostname } = new URL(baseUrl)
      const isPublic = Option.getOrElse(yield* Address.isPublicHost(hostname), () => true)
      return Network.layer({ variables, publicExcept: isPublic ? hostname : undefined })
    })
  )

const api = HttpApiBuilder.api(Api).pipe(Layer.provide(Handlers.layer), Layer.provide(Gate.layer))

/** Says where it listens, once it does. */
const announce = Layer.effectDiscard(
  HttpServer.addressFormattedWith((address) => Effect.logInfo(`listening on ${address}`))
)

/** What every answer passes on its way out. */
const onTheWayOut = HttpApiBuilder.middleware(
  Effect.map(Drain.Drain, (drain) =>
    flow(Listener.turnAway(drain), Failures.middleware, Effect.map(Pages.secure))
  )
)

/** Serves until the layer is closed. */
export const layer = (variables: Readonly<Record<string, string | undefined>>) =>
  Layer.unwrapEffect(
    Effect.map(ServerSettings, ({ host, port }) => {
      const server = Listener.make()
      const serve = HttpApiBuilder.serve(RequestLog.middleware).pipe(
        Layer.provide(HttpApiBuilder.middlewareOpenApi({ path: "/openapi.json" })),
        Layer.provide(Pages.layer),
        Layer.provide(onTheWayOut),
        Layer.provide(api)
      )
      return Drain.ending(server).pipe(
        Layer.provide(Layer.provideMerge(announce, serve)),
        // Only now does it listen: a request that nobody handles yet would be left without an answer.
        Layer.provide(Listener.layer(server, { host, port })),
        Layer.provide(Readiness.layer),
        Layer.provide(Account.layer),
        Layer.provide(network(variables)),
        Layer.provide(Drain.layer),
        Layer.provide(NodeHttpServer.layerContext),
        Layer.provide(Disk.layer),
        Layer.provide(NodeContext.layer)
      )
    })
  )
