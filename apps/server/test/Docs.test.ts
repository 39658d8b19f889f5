import { describe, expect, it } from "@effect/vitest"
import { Sandbox } from "@org/batch-sandbox"
import { Effect, type Scope } from "effect"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { chromium, type Page } from "playwright-core"
import { spawnedService } from "./Spawned.js"

const operations = [
  "/batch",
  "/batch/{batch_id}",
  "/batch/{batch_id}/wait",
  "/batch/{batch_id}/events",
  "/batch/{batch_id}/results",
  "/health",
  "/ready",
  "/metrics"
]

const inBrowser = (name: string, body: (docs: Docs) => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.scopedLive(
    name,
    (context) =>
      Effect.gen(function* () {
        const executable = installed()
        if (executable === undefined) return context.skip("there is no Chromium on the PATH")
        return yield* Effect.flatMap(open(executable), body)
      }),
    300_000
  )

describe("GET /docs", () => {
  inBrowser("shows every path, and asks nobody for anything", ({ page, requests, said }) =>
    Effect.gen(function* () {
      const shown = yield* Effect.promise(() => page.locator(".opblock-summary-path").allInnerTexts())
      expect(shown.map((path) => path.replaceAll("\u200B", ""))).toEqual(operations)
      expect(requests).toEqual(["/docs"])
      expect(said).toEqual([])
    })
  )

  inBrowser("tries a path out, with the token that it was given", ({ id, page, requests, said }) =>
    Effect.gen(function* () {
      yield* tryOut(page, id)
      expect(yield* answer(page)).toEqual({ status: "401", body: expect.stringContaining('"NotAuthorized"') })
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
      expect(Object.keys(document.paths)).toEqual(operations)
      expect(document.servers).toEqual([{ url: "/", description: "This service." }])
      for (const { get } of Object.values(document.paths)) {
        expect(get.summary).toMatch(/./u)
        expect(get.description).toMatch(/./u)
      }
      expect(Object.keys(document.paths["/health"]?.get.responses ?? {})).toEqual(["200", "default"])
      const { parameters, responses } = document.paths["/batch/{batch_id}/results"]?.get ?? {}
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

interface Document {
  readonly servers: ReadonlyArray<object>
  readonly paths: Readonly<
    Record<
      string,
      {
        readonly get: {
          readonly summary: string
          readonly description: string
          readonly parameters: ReadonlyArray<object>
          readonly responses: Readonly<Record<string, { readonly content?: object }>>
        }
      }
    >
  >
}

interface Docs {
  readonly page: Page
  /** A job of the sandbox. */
  readonly id: string
  /** What was asked for: paths of this service, and whole addresses of others. */
  readonly requests: ReadonlyArray<string>
  /** Errors and warnings of the page, violations of its policy among them. */
  readonly said: ReadonlyArray<string>
}

const token = "token-of-this-test"

/** Where Chromium is, if it is. */
const installed = (): string | undefined => {
  const folders = (process.env["PATH"] ?? "").split(delimiter)
  return ["chromium", "chromium-browser", "google-chrome"]
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

const flags = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  "--no-sandbox"
]

/** The page, in a browser with a profile of its own that can resolve no name. */
const open = (executablePath: string): Effect.Effect<Docs, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start()
    const id = yield* sandbox.createJob({ records: 3 })
    const { url } = yield* spawnedService({
      CRUSTDATA_BASE_URL: sandbox.baseUrl,
      CRUSTDATA_API_KEY: sandbox.apiKey,
      BATCH_SERVER_TOKENS: token
    })
    const args = [...flags, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    const browser = yield* Effect.acquireRelease(
      Effect.promise(() => chromium.launch({ executablePath, args })),
      (launched) => Effect.promise(() => launched.close())
    )
    const page = yield* Effect.promise(() => browser.newPage())
    const requests: Array<string> = []
    const said: Array<string> = []
    page.on("request", (request) => requests.push(request.url().replace(url, "")))
    page.on("pageerror", ({ message }) => said.push(message))
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") said.push(message.text())
    })
    yield* Effect.promise(() => page.goto(`${url}/docs`))
    yield* Effect.promise(() => page.locator(".opblock").first().waitFor())
    return { page, id, requests, said }
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
