/**
 * The page that shows the API to people, and lets them try it.
 */
import { HttpApiBuilder, HttpApiSwagger, HttpServerResponse } from "@effect/platform"
import { Layer } from "effect"

/** Where the page is. */
export const path = "/docs"

/** Where the OpenAPI document is that the page shows. */
export const documentPath = "/openapi.json"

/** Browsers ask for an icon with every page; without an answer they would log an error. */
const icon = HttpApiBuilder.Router.use((router) =>
  router.get("/favicon.ico", HttpServerResponse.empty({ status: 204 }))
)

/** The routes of the page and of its OpenAPI document. */
export const layer = Layer.mergeAll(
  HttpApiSwagger.layer({ path }),
  HttpApiBuilder.middlewareOpenApi({ path: documentPath }),
  icon
)
