/**
 * The API's free calls about the account, passed on: `/account/…` and `/user/credits`, with their query, on the account's
 * throttle.
 */
import type { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { BatchClient } from "@org/batch-core/BatchClient"
import { maskJson } from "@org/batch-core/Masking"
import { Context, Effect, type Scope } from "effect"
import { Accounts } from "./Account.js"
import * as JobBody from "./JobBody.js"
import { fromError, Problem } from "./Problem.js"
import * as RequestLog from "./RequestLog.js"

/** The API's answer to the request's path and query; the query strings of links in it are masked. */
export const pass = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<HttpServerResponse.HttpServerResponse, Problem, Accounts | Scope.Scope> =>
  Effect.gen(function* () {
    const accounts = yield* Accounts
    const { session } = yield* accounts.of(request)
    const { pathname, searchParams } = new URL(request.url, "http://service")
    // The API must not be led out of these paths by what it may take for dots.
    if (!/^\/(?:account|user)(?:\/[\w.~-]{1,256}){1,8}$/u.test(pathname)) return yield* nowhere
    const { account } = Context.get(session, BatchClient)
    const answer = yield* Effect.mapError(account.get(pathname, [...searchParams]), fromError)
    RequestLog.upstream(request, answer.requestId)
    return JobBody.json(JSON.stringify(maskJson(answer.value)))
  })

const nowhere = new Problem({
  status: 404,
  type: "NotFound",
  message: "the API has no such path; /docs lists what there is"
})
