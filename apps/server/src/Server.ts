/**
 * The service: all layers put together.
 */
import { HttpApiBuilder, HttpMiddleware, HttpServer, type HttpServerError } from "@effect/platform"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import type { RetrievalError } from "@org/batch-durable"
import * as Address from "@org/batch-node/Address"
import * as LocalMachine from "@org/batch-node/LocalMachine"
import * as Network from "@org/batch-node/Network"
import { type Duration, Effect, flow, identity, Layer, Option } from "effect"
import * as Account from "./Account.js"
import { Api } from "./Api.js"
import * as AuthMiddleware from "./AuthMiddleware.js"
import * as ClientErrors from "./ClientErrors.js"
import * as Cors from "./Cors.js"
import * as DocsPage from "./DocsPage.js"
import * as ErrorMiddleware from "./ErrorMiddleware.js"
import * as Handlers from "./Handlers.js"
import * as JobsPage from "./JobsPage.js"
import * as KeptAnswer from "./KeptAnswer.js"
import * as Listener from "./Listener.js"
import * as Readiness from "./Readiness.js"
import * as RequestLog from "./RequestLog.js"
import * as RetrievalStore from "./RetrievalStore.js"
import * as SecurityHeaders from "./SecurityHeaders.js"
import { isPassThrough, ServerSettings, SettingsError } from "./Settings.js"
import * as Shutdown from "./Shutdown.js"
import * as Submissions from "./Submissions.js"
import { version } from "./Version.js"

/**
 * The HTTP client for the upstream, with the proxy of the environment. If the upstream is on a public address, its links
 * must lead to public ones, too, lest they make the service fetch from the network it runs in; if it is on a private
 * address, or cannot be looked up yet, its links may be there as well.
 */
const network = (variables: Readonly<Record<string, string | undefined>>) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const { baseUrl } = yield* BatchConfig
      const { hostname } = new URL(baseUrl)
      const isPublic = Option.getOrElse(yield* Address.isPublicHost(hostname), () => true)
      return Network.layer({ variables, baseUrl, publicExcept: isPublic ? hostname : undefined })
    })
  ).pipe(Layer.mapError(({ detail, setting }) => new SettingsError({ setting, detail })))

const api = HttpApiBuilder.api(Api).pipe(Layer.provide(Handlers.layer), Layer.provide(AuthMiddleware.layer))

/** Logs the address once requests are served, and what the service is set to. */
const announce = Layer.effectDiscard(
  HttpServer.addressFormattedWith((address) =>
    Effect.gen(function* () {
      const config = yield* BatchConfig
      const { tokens } = yield* ServerSettings
      yield* Effect.logInfo(`batch-server ${version} listening on ${address}`, {
        version,
        upstream: config.baseUrl,
        mode: isPassThrough(config) ? "the keys of callers" : "one key for all callers",
        tokens: tokens.count
      })
    })
  )
)

/** The middlewares of every route, innermost first. */
const middlewares = HttpApiBuilder.middleware(
  Effect.gen(function* () {
    const shutdown = yield* Shutdown.Shutdown
    const { corsOrigins, retrievals } = yield* ServerSettings
    return flow(
      Listener.turnAway(shutdown),
      retrievals.role === "worker" ? Listener.onlyOperations : identity,
      ErrorMiddleware.middleware,
      Effect.map(SecurityHeaders.add),
      Cors.middleware(corsOrigins)
    )
  })
)

/** How the service is run, beside its settings. */
export interface Options {
  /** How long requests under way may go on once the layer is closed; 30 s by default. */
  readonly grace?: Duration.DurationInput | undefined
  /** How long the headers of a request may take; 10 s by default. */
  readonly headersTimeout?: Duration.DurationInput | undefined
}

/** The service, listening until the layer is closed. */
export const layer = (
  variables: Readonly<Record<string, string | undefined>>,
  { grace = Shutdown.grace, headersTimeout = Listener.headersTimeout }: Options = {}
): Layer.Layer<
  never,
  SettingsError | HttpServerError.ServeError | RetrievalError.StoreRefused,
  ServerSettings | BatchConfig
> =>
  Layer.unwrapEffect(
    Effect.zipWith(ServerSettings, RequestLog.writing, ({ host, port }, write) => {
      const server = Listener.make({ headersTimeout })
      const serve = HttpApiBuilder.serve(RequestLog.middleware(write)).pipe(
        HttpMiddleware.withSpanNameGenerator(RequestLog.spanName),
        Layer.provide(Layer.merge(JobsPage.layer, DocsPage.layer)),
        Layer.provide(middlewares),
        Layer.provide(api)
      )
      return Shutdown.layerServer(server, { grace }).pipe(
        Layer.provide(Layer.provideMerge(announce, serve)),
        Layer.provide(ClientErrors.layer(server)),
        // Only now does it listen: a request that nobody handles yet would be left without an answer.
        Layer.provide(Listener.layer(server, { host, port, shortcut: KeptAnswer.make })),
        Layer.provide(Readiness.layer),
        Layer.provide(Submissions.layer),
        Layer.provide(RetrievalStore.layer),
        Layer.provide(Account.layer),
        Layer.provide(network(variables)),
        Layer.provide(Shutdown.layer),
        Layer.provide(NodeHttpServer.layerContext),
        Layer.provide(LocalMachine.layer),
        Layer.provide(NodeContext.layer)
      )
    })
  )
