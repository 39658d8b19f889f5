/**
 * The page that shows the API to people, and lets them try it. It is large, and made when it is first asked for.
 */
import { HttpApi, HttpApiBuilder, HttpRouter, HttpServerResponse, OpenApi } from "@effect/platform"
import { Context, Effect, Layer } from "effect"

/** Where the page is. */
export const path = "/docs"

/** Where the OpenAPI document is that the page shows. */
export const documentPath = "/openapi.json"

const { Router } = HttpApiBuilder

/** The page, out of the routes of Effect's layer for it. */
const page = Effect.gen(function* () {
  const Swagger = yield* Effect.promise(() => import("@effect/platform/HttpApiSwagger"))
  const routes = yield* Layer.build(Layer.provideMerge(Swagger.layer({ path }), Router.Live))
  return yield* Effect.flatMap(Context.get(routes, Router).router, HttpRouter.toHttpApp)
}).pipe(Effect.scoped, Effect.flatten)

const document = Effect.map(HttpApi.Api, ({ api }) => HttpServerResponse.unsafeJson(OpenApi.fromApi(api)))

/** Browsers ask for an icon with every page; without an answer they would log an error. */
const icon = Effect.succeed(HttpServerResponse.empty({ status: 204 }))

/** The routes of the page and of its OpenAPI document. */
export const layer = Router.use((router) =>
  Effect.gen(function* () {
    const api = yield* HttpApi.Api
    yield* router.get(path, yield* Effect.cached(Effect.provideService(page, HttpApi.Api, api)))
    yield* router.get(documentPath, yield* Effect.cached(Effect.provideService(document, HttpApi.Api, api)))
    yield* router.get("/favicon.ico", icon)
  })
)
