/**
 * The page that shows the account's jobs to people, one job live, and its results to save.
 */
import { HttpApiBuilder, HttpServerError, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import { Effect } from "effect"
import html from "./JobsPage.html"
import { isPassThrough, ServerSettings } from "./Settings.js"

/** Where the page is. */
export const path = "/"

/** What the page asks people for, if anything: its name, and which one it is. */
interface Credential {
  readonly label: string
  readonly hint: string
}

const credentialOf = (wanted: { readonly token: boolean; readonly key: boolean }): Credential | undefined => {
  if (wanted.key) {
    const listed = wanted.token ? " It must be one of those that may come in." : ""
    return {
      label: "API key",
      hint: `The key of your Crustdata account: this service has none of its own, and sends yours to the API and to nobody else.${listed}`
    }
  }
  return wanted.token
    ? { label: "token", hint: "One of the tokens of this service, from whoever runs it." }
    : undefined
}

const render = (credential: Credential | undefined): string =>
  html
    .replaceAll("{{asks}}", credential === undefined ? "no" : "yes")
    .replaceAll("{{label}}", credential?.label ?? "")
    .replaceAll("{{hint}}", credential?.hint ?? "")

/** The route of the page. */
export const layer = HttpApiBuilder.Router.use((router) =>
  Effect.gen(function* () {
    const { tokens } = yield* ServerSettings
    const wanted = { token: tokens.count > 0, key: isPassThrough(yield* BatchConfig) }
    const page = HttpServerResponse.html(render(credentialOf(wanted)))
    yield* router.get(
      path,
      // The router takes `*`, the target of a request for no path, for this one.
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
        request.url.startsWith("/")
          ? Effect.succeed(page)
          : Effect.fail(new HttpServerError.RouteNotFound({ request }))
      )
    )
  })
)
