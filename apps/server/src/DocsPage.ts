/**
 * The page that shows the API to people. It holds all it needs, and may load nothing else.
 */
import { HttpApiBuilder, HttpApiSwagger, HttpServerResponse } from "@effect/platform"
import { Layer } from "effect"

/** The picture that browsers ask for with a page: there is none. */
const icon = HttpApiBuilder.Router.use((router) =>
  router.get("/favicon.ico", HttpServerResponse.empty({ status: 204 }))
)

/** `GET /docs` */
export const layer = Layer.merge(HttpApiSwagger.layer({ path: "/docs" }), icon)
