import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import { readFile } from "node:fs/promises"
import type { Page } from "playwright-core"
import { inBrowser, isSound, open, press, sees, tabTo, text, types, visible } from "./Browser.js"
import { eventually, over, small, start, under } from "./Service.js"

const token = "token-of-this-test"

describe("GET /", () => {
  inBrowser(
    "asks nothing where nothing is needed, shows jobs, one of them live, and says what is wrong",
    (context) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => context.addInitScript("delete window.showSaveFilePicker"))
        const { get, kill, sandbox, port } = yield* start({ env: { BATCH_RETRY_LIMIT: "2" } })
        const done = yield* sandbox.createJob({ ...over, unresolved: 3 })
        const broken = yield* sandbox.createJob({ ...over, outcome: "failed", errorMessage: "out of <luck>" })
        const running = yield* sandbox.createJob({ pendingMs: 0, processingMs: 60_000, records: 5000 })
        const url = `http://127.0.0.1:${port}`
        const { page, requests, said } = yield* open(context, url, "/")

        yield* sees(page, "#as-of", /^3 jobs, as of /u)
        expect(yield* visible(page, "#sign-in")).toBe(false)
        expect(yield* visible(page, "#forget")).toBe(false)
        const rows = yield* Effect.promise(() => page.locator("#jobs tr").allInnerTexts())
        const row = (id: string) =>
          rows
            .find((text) => text.includes(id))
            ?.replace(/\s+/gu, " ")
            .trim()
        expect(row(done)).toMatch(/company enrich completed 20 of 23 20 \d+ s about 4 d 23 h Deliver…$/u)
        expect(row(broken)).toMatch(/failed .* \d+ s –$/u)
        expect(row(running)).toMatch(/processing [\d,]+ of 5,000 .*– Deliver…$/u)
        yield* isSound(page)

        yield* byKeyboard(page, running)
        yield* sees(page, "#live", /^Live/u)
        expect(yield* text(page, "*:focus")).toBe(`Job ${running}`)
        const before = yield* text(page, "#found")
        yield* eventually(text(page, "#found"), (now) => now !== before)
        expect(yield* visible(page, "#progress")).toBe(true)
        expect(yield* enabled(page)).toBe(0)
        yield* isSound(page)
        yield* sandbox.job(running).complete
        yield* sees(page, "#state", /^completed$/u)
        yield* sees(page, "#found", /^5,000 of 5,000$/u)
        expect(yield* visible(page, "#progress")).toBe(false)
        expect(yield* text(page, "#live")).toBe("")
        expect(yield* enabled(page)).toBe(3)

        yield* Effect.promise(() => page.goBack())
        yield* byKeyboard(page, broken)
        yield* sees(page, "#reason", /^out of <luck>$/u)
        yield* sees(page, "#state", /^failed$/u)
        expect(yield* enabled(page)).toBe(0)

        yield* Effect.promise(() => page.goBack())
        yield* byKeyboard(page, done)
        yield* sees(page, "#links", /^4 d 23 h$/u)
        yield* isSound(page)
        for (const [name, accept, extension] of forms) {
          const [suggested, saved] = yield* Effect.promise(async () => {
            const [download] = await Promise.all([
              page.waitForEvent("download"),
              page.getByRole("button", { name }).click()
            ])
            return [download.suggestedFilename(), await readFile(await download.path())] as const
          })
          expect(suggested).toBe(`${done}.${extension}`)
          const { body } = yield* get(`/batch/${done}/results`, { accept })
          expect(saved.equals(body)).toBe(true)
          yield* sees(page, "#download-text", /saved, /u)
        }

        yield* Effect.promise(() => page.goto(`${url}/#$(id)`))
        yield* sees(page, "#trouble", /^This is no id of a batch\.$/u)
        expect(requests.filter((path) => !path.startsWith("/") && !path.startsWith("blob:"))).toEqual([])
        expect(said).toEqual([])

        // The API is away for a while, and in the end the service is.
        const lasting = yield* sandbox.createJob({ pendingMs: 0, processingMs: 600_000, records: 10 })
        yield* sandbox.pauseApi
        yield* Effect.promise(() => page.goto(`${url}/#`))
        yield* sees(page, "#trouble", /127\.0\.0\.1/u)
        yield* isSound(page)
        yield* Effect.promise(() => page.goto(`${url}/#${lasting}`))
        yield* sees(page, "#live", /^Trouble, so far: ApiUnavailable/u)
        yield* sandbox.resumeApi
        yield* sees(page, "#live", /^Live/u)
        yield* sees(page, "#state", /^processing$/u)
        yield* kill("SIGKILL")
        yield* sees(page, "#live", /^This service does not answer\. Trying again in 3 s\.$/u)
        expect(yield* text(page, "#state")).toBe("processing")
        yield* Effect.promise(() => page.getByRole("link", { name: "Jobs", exact: true }).click())
        yield* sees(page, "#trouble", /^This service does not answer\.$/u)
      })
  )

  inBrowser(
    "keeps a token to its tab, in no URL, and saves nothing of what breaks off or has no room",
    (context) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => context.addInitScript(picker))
        const { get, sandbox, port, printed } = yield* start({
          env: {
            ...small,
            BATCH_TRANSFER_RETRIES: "2",
            BATCH_TRANSFER_MAX_REFRESHES: "2",
            BATCH_SERVER_TOKENS: token
          }
        })
        const id = yield* sandbox.createJob(over)
        const url = `http://127.0.0.1:${port}`
        const { page, requests } = yield* open(context, url, "/", 390)

        expect(yield* text(page, "label")).toBe("Your token")
        expect(requests).toEqual(["/"])
        yield* isSound(page)
        yield* types(page, "another-token")
        yield* sees(page, "#trouble", /wants one of its own tokens/u)
        expect(yield* visible(page, "#sign-in")).toBe(true)
        yield* types(page, token)
        yield* sees(page, "#as-of", /^1 job,/u)
        expect(yield* visible(page, "#trouble")).toBe(false)
        yield* isSound(page)
        yield* Effect.promise(() => page.reload())
        yield* sees(page, "#as-of", /^1 job,/u)
        yield* byKeyboard(page, id)
        yield* sees(page, "#state", /^completed$/u)
        yield* isSound(page)
        yield* Effect.promise(() => page.locator("#terminal summary").click())
        expect(yield* text(page, "#curl")).toContain(`-H "Authorization: Bearer $TOKEN"`)

        for (const [name, accept, extension] of forms) {
          yield* Effect.promise(() => page.getByRole("button", { name }).click())
          yield* sees(page, "#download-text", new RegExp(`${extension}: saved, `, "u"))
          const { body } = yield* get(`/batch/${id}/results`, { accept, authorization: `Bearer ${token}` })
          expect((yield* files(page))[`${id}.${extension}`]).toBe(body.toString("base64"))
        }

        // What breaks off, and what memory has no room for.
        const long = yield* sandbox.createJob({ ...over, records: 200, parts: 1, recordBytes: 6000 })
        const before = yield* files(page)
        const save = Effect.promise(() => page.getByRole("button", { name: "NDJSON" }).click())
        yield* Effect.promise(() => page.goto(`${url}/#${long}`))
        yield* sees(page, "#job-title", new RegExp(long, "u"))
        yield* sees(page, "#state", /^completed$/u)
        yield* under(
          sandbox,
          [
            { on: { server: "storage", nth: 2 }, do: { cut: { afterBytes: 60_000, by: "fin" } } },
            { on: { server: "storage", nth: 2 }, times: -1, do: { delay: { ms: 300 }, expired: true } }
          ],
          Effect.zipRight(save, sees(page, "#download-text", /not saved\. It broke off after/u))
        )
        expect(yield* files(page)).toEqual(before)
        yield* Effect.promise(() => page.evaluate("delete window.showSaveFilePicker"))
        yield* Effect.promise(() => page.evaluate("downloads.dataset.limit = '100000'"))
        yield* save
        yield* sees(
          page,
          "#download-text",
          /not saved\. This browser would have to hold all of it in memory/u
        )
        expect(yield* enabled(page)).toBe(3)

        const other = yield* open(context, url, `/#${id}`, 390)
        expect(yield* visible(other.page, "#sign-in")).toBe(true)
        yield* Effect.promise(() => page.getByRole("button", { name: "Forget token" }).click())
        expect(yield* visible(page, "#sign-in")).toBe(true)
        yield* Effect.promise(() => page.reload())
        expect(yield* visible(page, "#sign-in")).toBe(true)

        expect([...requests, ...other.requests].filter((path) => !path.startsWith("/"))).toEqual([])
        expect([...requests, ...other.requests].filter((path) => path.includes("token"))).toEqual([])
        expect(yield* printed).not.toContain(token)
      })
  )

  inBrowser("asks for the caller's own key where the service has none", (context) =>
    Effect.gen(function* () {
      const { port, sandbox } = yield* start({ env: { CRUSTDATA_API_KEY: undefined } })
      yield* sandbox.createJob(over)
      const { page } = yield* open(context, `http://127.0.0.1:${port}`, "/")
      expect(yield* text(page, "label")).toBe("Your API key")
      expect(yield* text(page, "#hint")).toContain("this service has none of its own")
      expect(yield* text(page, "#hint")).not.toContain("may come in")
      yield* types(page, "another-key")
      yield* sees(page, "#trouble", /key/u)
      yield* types(page, sandbox.apiKey)
      yield* sees(page, "#as-of", /^1 job,/u)
    })
  )
})

/** The buttons, what they accept, and how the files end. */
const forms = [
  ["NDJSON", "application/x-ndjson", "jsonl"],
  ["gzip", "application/gzip", "jsonl.gz"],
  ["CSV", "text/csv", "csv"]
] as const

/** In place of the dialog, which nobody can answer here: a file of the origin's own folder, by the same interface. */
const picker = `window.showSaveFilePicker = async ({ suggestedName }) =>
  (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true })`

/** The files of that folder, in base64. */
const files = (page: Page): Effect.Effect<Readonly<Record<string, string>>> =>
  Effect.promise(() =>
    page.evaluate<Readonly<Record<string, string>>>(`(async () => {
      const files = {}
      for await (const [name, handle] of (await navigator.storage.getDirectory()).entries()) {
        const reader = new FileReader()
        reader.readAsDataURL(await handle.getFile())
        await new Promise((resolve) => (reader.onload = resolve))
        files[name] = reader.result.split(",")[1]
      }
      return files
    })()`)
  )

/** How many buttons save something. */
const enabled = (page: Page): Effect.Effect<number> =>
  Effect.promise(() => page.locator("#downloads button:enabled").count())

/** Goes to a job without a mouse. */
const byKeyboard = (page: Page, id: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* sees(page, "#as-of", /as of/u)
    yield* tabTo(page, id)
    yield* press(page, "Enter")
  })
