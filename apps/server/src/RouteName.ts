/**
 * The names of routes, such as `/batch/{batch_id}/wait`, for metrics and messages. They are those that `Api` declares,
 * with an id in a path replaced by its parameter.
 */
import { HttpApi } from "@effect/platform"
import { Api } from "./Api.js"
import * as DocsPage from "./DocsPage.js"
import * as JobsPage from "./JobsPage.js"

const methods = new Map<string, ReadonlyArray<string>>(
  [JobsPage.path, DocsPage.path, DocsPage.documentPath].map((path) => [path, ["GET"]])
)
HttpApi.reflect(Api, {
  onGroup: () => undefined,
  onEndpoint: ({ endpoint: { method, path } }) =>
    void methods.set(path, [...(methods.get(path) ?? []), method])
})

const declared = [...methods.keys()]

const isTemplate = (path: string): boolean => /\/[:*]/u.test(path)

/** Paths without a parameter, which are their own names. */
const fixed: ReadonlySet<string> = new Set(declared.filter((path) => !isTemplate(path)))

/** Paths with parameters: what matches them, and their names. */
const templates = declared.filter(isTemplate).map((path) => ({
  path,
  pattern: new RegExp(`^${path.replace(/:\w+/gu, "[^/]+").replace("*", ".+")}$`, "u"),
  name: path.replace(/:(\w+)/gu, "{$1}").replace("*", "{path}")
}))

/** The path of a request's URL. Nothing else of the URL may be shown: there may be a secret in its query string. */
export const pathOf = ({ url = "" }: { readonly url?: string | undefined }): string =>
  url.split(/[?#]/u, 1)[0] ?? ""

/** The name of a path's route; `undefined` if there is no such route, so that callers cannot make up names of metrics. */
export const fromPath = (path: string): string | undefined => routeOf(path)?.name

/** The methods that a path has, as the header `Allow` lists them; none if there is no such route. */
export const allowed = (path: string): ReadonlyArray<string> => {
  const route = routeOf(path)
  const declared = route === undefined ? [] : (methods.get(route.path) ?? [])
  return declared.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).toSorted()
}

const routeOf = (path: string): { readonly path: string; readonly name: string } | undefined => {
  const plain = path.replace(/(?<=[^/])\/$/u, "")
  return fixed.has(plain)
    ? { path: plain, name: plain }
    : templates.find(({ pattern }) => pattern.test(plain))
}
