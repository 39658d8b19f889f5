/**
 * The page that shows people the account's jobs, one of them live and its results to save, and the retrievals. It is put
 * together from the pieces in `page/`, whose scripts share their names, as classic scripts of one page do.
 */
import { HttpApiBuilder, HttpServerError, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import * as Format from "@org/batch-core/Format"
import { Retrieval } from "@org/batch-durable"
import { Effect } from "effect"
import jobs from "./page/Jobs.html"
import page from "./page/Page.html"
import retrievals from "./page/Retrievals.html"
import service from "./page/Service.html"
import style from "./page/Style.html"
import text from "./page/Text.html"
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

const pieces = { jobs, retrievals, service, style, text }

const options = (names: ReadonlyArray<string>): string =>
  names.map((name) => `<option>${name}</option>`).join("")

/** Fills in what stands in double braces. */
const fill = (html: string, values: Readonly<Record<string, string>>): string =>
  html.replaceAll(/\{\{(\w+)\}\}/gu, (whole, name: string) => values[name] ?? whole)

const render = (credential: Credential | undefined): string =>
  fill(fill(page, pieces), {
    asks: credential === undefined ? "no" : "yes",
    label: credential?.label ?? "",
    hint: credential?.hint ?? "",
    formats: options(Format.all),
    states: options(Retrieval.states)
  })

/** The route of the page. */
export const layer = HttpApiBuilder.Router.use((router) =>
  Effect.gen(function* () {
    const { tokens } = yield* ServerSettings
    const wanted = { token: tokens.count > 0, key: isPassThrough(yield* BatchConfig) }
    const whole = HttpServerResponse.html(render(credentialOf(wanted)))
    yield* router.get(
      path,
      // The router takes `*`, the target of a request for no path, for this one.
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
        request.url.startsWith("/")
          ? Effect.succeed(whole)
          : Effect.fail(new HttpServerError.RouteNotFound({ request }))
      )
    )
  })
)
