import { describe, expect, it } from "@effect/vitest"
import { Sandbox } from "@org/batch-sandbox"
import { Effect, type Scope } from "effect"
import type { BrowserContext, Page } from "playwright-core"
import { inBrowser, open, type Watched } from "./Browser.js"
import { spawnedService } from "./Spawned.js"

const operations = [
  "/batch",
  "/batch/{batch_id}",
  "/batch/{batch_id}/wait",
  "/batch/{batch_id}/events",
  "/batch/{batch_id}/results",
  "/batch/company/enrich",
  "/batch/company/search",
  "/batch/company/professional_network/search/live",
  "/batch/person/enrich",
  "/batch/person/professional_network/enrich/live",
  "/batch/person/search",
  "/batch/person/professional_network/search/live",
  "/batch/person/contact/enrich",
  "/batch/person/identify",
  "/batch/person/verify",
  "/batch/job/search",
  "/batch/social_post/professional_network/enrich/live",
  "/user/credits",
  "/account/endpoints",
  "/account/usage/events",
  "/retrievals",
  "/retrievals",
  "/retrievals/{retrieval_id}",
  "/retrievals/{retrieval_id}",
  "/retrievals/{retrieval_id}/events",
  "/retrievals/{retrieval_id}/retry",
  "/campaigns",
  "/campaigns",
  "/campaigns/{campaign_id}",
  "/campaigns/{campaign_id}",
  "/campaigns/{campaign_id}/events",
  "/campaigns/{campaign_id}/results",
  "/campaigns/{campaign_id}/fates",
  "/campaigns/{campaign_id}/remainder",
  "/campaigns/{campaign_id}/retry",
  "/webhooks/crustdata",
  "/health",
  "/ready",
  "/metrics"
]

describe("GET /docs", () => {
  inBrowser(
    "shows every path, asks nobody for anything, and tries a path out with the token that it was given",
    (context) =>
      Effect.gen(function* () {
        const { id, page, requests, said } = yield* docs(context)
        const shown = yield* Effect.promise(() => page.locator(".opblock-summary-path").allInnerTexts())
        expect(shown.map((path) => path.replaceAll("\u200B", ""))).toEqual(operations)
        expect(requests).toEqual(["/docs"])
        expect(said).toEqual([])

        yield* tryOut(page, id)
        expect(yield* answer(page)).toEqual({
          status: "401",
          body: expect.stringContaining('"NotAuthorized"')
        })
        yield* Effect.promise(async () => {
          await page.locator(".btn.authorize").click()
          await page.locator(".auth-container input").fill(token)
          await page.locator(".auth-container .authorize").click()
          await page.locator(".btn-done").click()
          await page.locator(".execute").click()
          await page.locator(".live-responses-table .response-col_status >> text=200").waitFor()
        })
        expect(yield* answer(page)).toEqual({
          status: "200",
          body: expect.stringContaining(`"batch_id": "${id}"`)
        })
        expect(requests).toEqual(["/docs", `/batch/${id}`, `/batch/${id}`])
        expect(said).toEqual([expect.stringContaining("401")])
      })
  )
})

describe("GET /openapi.json", () => {
  it.scopedLive("describes every path, with nothing that is Effect's own", () =>
    Effect.gen(function* () {
      const { url } = yield* spawnedService({ CRUSTDATA_BASE_URL: "http://127.0.0.1:1" })
      const text = yield* Effect.promise(async () => (await fetch(`${url}/openapi.json`)).text())
      const document: Document = JSON.parse(text)
      expect(text).not.toMatch(/HttpApiDecodeError|PropertyKey|schemas\/unknown|did not match/u)
      expect(Object.keys(document.paths)).toEqual([...new Set(operations)])
      expect(document.servers).toEqual([{ url: "/", description: "This service." }])
      const described = Object.values(document.paths).flatMap((methods) => Object.values(methods))
      expect(described).toHaveLength(operations.length)
      for (const { description, summary } of described) {
        expect(summary).toMatch(/./u)
        expect(description).toMatch(/./u)
      }
      expect(Object.keys(document.paths["/health"]?.["get"]?.responses ?? {})).toEqual(["200", "default"])
      const { parameters, responses } = document.paths["/batch/{batch_id}/results"]?.["get"] ?? {}
      expect(parameters?.[0]).toMatchObject({
        name: "batch_id",
        schema: { format: "uuid" },
        example: expect.any(String)
      })
      expect(Object.keys(responses?.["200"]?.content ?? {})).toEqual([
        "application/x-ndjson",
        "application/gzip",
        "text/csv"
      ])
      expect(responses?.["409"]).toMatchObject({
        headers: { "Retry-After": { schema: { type: "integer" } } },
        content: { "application/json": { example: { error: { type: "BatchNotCompleted" } } } }
      })
    })
  )
})

interface Operation {
  readonly summary: string
  readonly description: string
  readonly parameters: ReadonlyArray<object>
  readonly responses: Readonly<Record<string, { readonly content?: object }>>
}

interface Document {
  readonly servers: ReadonlyArray<object>
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

interface Docs extends Watched {
  /** A job of the sandbox. */
  readonly id: string
}

const token = "token-of-this-test"

/** The page of a service with a token. */
const docs = (context: BrowserContext): Effect.Effect<Docs, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start()
    const id = yield* sandbox.createJob({ records: 3 })
    const { url } = yield* spawnedService({
      CRUSTDATA_BASE_URL: sandbox.baseUrl,
      CRUSTDATA_API_KEY: sandbox.apiKey,
      BATCH_SERVER_TOKENS: token
    })
    const watched = yield* open(context, url, "/docs")
    yield* Effect.promise(() => watched.page.locator(".opblock").first().waitFor())
    return { ...watched, id }
  })

const tryOut = (page: Page, id: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    await page.locator("#operations-batches-status .opblock-summary-control").click()
    await page.locator(".try-out__btn").click()
    await page.locator("input[placeholder=batch_id]").fill(id)
    await page.locator(".execute").click()
    await page.locator(".live-responses-table .response-col_status").last().waitFor()
  })

/** What the page shows of the answer that came. */
const answer = (page: Page): Effect.Effect<{ readonly status: string; readonly body: string }> =>
  Effect.promise(async () => {
    const row = page.locator(".live-responses-table .response")
    return {
      status: (await row.locator(".response-col_status").innerText()).split("\n", 1)[0] ?? "",
      body: await row.locator(".highlight-code code").first().innerText()
    }
  })
