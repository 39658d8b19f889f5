/**
 * The names of paths, for metrics and messages.
 */

const routes =
  /^\/(?:batch(?:\/\{batch_id\}(?:\/(?:wait|events|results))?)?|health|ready|metrics|docs|openapi\.json)$/u

/** The part of a request's URL that may be shown: never the query string. */
export const pathOf = ({ url }: { readonly url: string }): string => url.split(/[?#]/u, 1)[0] ?? ""

/** A path with its id taken out; `undefined` for what is not there, so that nobody can invent names. */
export const fromPath = (path: string): string | undefined => {
  const name = path.replace(/^\/batch\/[^/]+/u, "/batch/{batch_id}").replace(/(?<=.)\/$/u, "")
  return routes.test(name) ? name : undefined
}
