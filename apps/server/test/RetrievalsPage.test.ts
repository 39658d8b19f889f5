import { describe, expect } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { BrowserContext, Page } from "playwright-core"
import { focused, inBrowser, isSound, open, press, sees, tabTo, text, types, visible } from "./Browser.js"
import { json } from "./Caller.js"
import { eventually, nobody, over, start, temporary } from "./Service.js"

const token = "token-of-this-test"

describe("GET /, the retrievals", () => {
  inBrowser("hands jobs over and looks after them by keyboard, live, and opens no store before", (context) =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const { ask, sandbox, port, printed } = yield* start({
        env: {
          BATCH_SERVER_STATE: folder,
          BATCH_SERVER_TOKENS: token,
          BATCH_TRANSFER_MAX_CONNECTIONS: "1"
        }
      })
      const url = `http://127.0.0.1:${port}`
      const hand = (batch_id: string, path: string) =>
        Effect.map(
          ask("/retrievals", {
            method: "POST",
            headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
            body: JSON.stringify({ batch_id, destination: { type: "folder", path } })
          }),
          (answer) => Schema.decodeUnknownSync(One)(json(answer)).retrieval_id
        )
      const done = yield* sandbox.createJob(over)
      const broken = yield* sandbox.createJob({ ...over, outcome: "failed", errorMessage: "out of <luck>" })
      const stuck = yield* sandbox.createJob({ stuck: true })
      const slow = yield* sandbox.createJob({ ...over, records: 4000, recordBytes: undefined, parts: 1 })
      yield* sandbox.script({
        on: { server: "storage", path: slow },
        times: -1,
        do: { trickle: { bytesPerSecond: 30_000 } }
      })

      // Nothing was handed over: who looks on, and who only has the page open, causes no store.
      const idle = yield* open(context, url, "/#retrievals")
      yield* types(idle.page, token)
      yield* sees(idle.page, "#retrieval-count", /^Nothing was handed over yet\.$/u)
      expect(existsSync(join(folder, "store"))).toBe(false)

      // By keyboard only: the job, the dialog, what is wrong in it, and back.
      const { page, requests, said } = yield* open(context, url, "/")
      yield* types(page, token)
      yield* sees(page, "#as-of", /^4 jobs/u)
      expect(yield* Effect.promise(() => page.locator("#jobs button:visible").count())).toBe(3)
      const deliver = `Deliver… job ${done}`
      yield* tabTo(page, deliver)
      yield* press(page, "Enter")
      expect(yield* role(context, page, "dialog")).toEqual(["Deliver a job"])
      yield* press(page, "Escape")
      expect(yield* focused(page)).toBe(deliver)
      yield* press(page, "Enter")
      yield* Effect.promise(() => page.keyboard.type("a/<b>rows</b>.csv"))
      yield* press(page, "Tab", "Tab")
      yield* Effect.promise(() => page.keyboard.type("https://app.example/told"))
      writeFileSync(join(folder, "store"), "in the way")
      yield* press(page, "Enter")
      yield* sees(
        page,
        "#deliver-trouble",
        /^Retrievals cannot be had now: .*store.* Jobs and their results can\.$/u
      )
      rmSync(join(folder, "store"))
      yield* press(page, "Enter")
      yield* sees(page, "#deliver-trouble", /BATCH_SERVER_WEBHOOK_SECRET is not set/u)
      yield* isSound(page)
      yield* Effect.promise(() => page.getByLabel("Call at the end").fill(""))
      yield* press(page, "Enter")
      yield* sees(page, "#retrieval-live", /^Delivered, complete and checked\.$/u)
      expect(yield* focused(page)).toBe("a/<b>rows</b>.csv")
      expect(yield* text(page, "#retrieval-rows")).toBe("20")
      expect(yield* text(page, "#retrieval-links")).toBe("–")
      const delivered = readFileSync(join(folder, "retrievals", "a", "<b>rows</b>.csv"))
      expect(delivered.toString().split("\n").length).toBeGreaterThan(20)
      expect(yield* text(page, "#retrieval-digest")).toMatch(/^[0-9a-f]{64}$/u)
      expect(yield* visible(page, "#retrieval-note")).toBe(false)

      // The same once more, from the page of the job.
      yield* Effect.promise(() => page.locator("#retrieval-job").click())
      yield* Effect.promise(() => page.locator("#job-deliver").click())
      yield* Effect.promise(() => page.getByLabel("Deliver to").fill("a/<b>rows</b>.csv"))
      yield* press(page, "Enter")
      yield* sees(page, "#retrieval-note", /handed over before/u)

      // A download, live in the list: its row is kept, and so is the focus.
      const moving = yield* hand(slow, "slow.jsonl.gz")
      yield* Effect.promise(() => page.getByRole("link", { name: "Retrievals", exact: true }).click())
      const row = `#retrievals tr[data-id="${moving}"]`
      yield* sees(page, `${row} .below`, /^\d.* [kM]B\/s$/u)
      const stop = "Stop… slow.jsonl.gz"
      yield* tabTo(page, stop)
      const before = yield* text(page, `${row} [data-cell=bytes]`)
      yield* eventually(text(page, `${row} [data-cell=bytes]`), (now) => now !== before)
      expect(yield* focused(page)).toBe(stop)
      yield* sees(page, "#retrieval-count", /^2 retrievals: 1 running, 1 done\.$/u)

      // The same on its own page, with all that is known of it; for a phone, or a screen that is magnified four times.
      yield* Effect.promise(() => page.setViewportSize({ width: 320, height: 256 }))
      yield* isSound(page)
      expect(yield* role(context, page, "columnheader")).toEqual([
        "Destination",
        "State",
        "Rows",
        "Bytes",
        "Next look",
        "Age",
        "Action"
      ])
      expect(yield* role(context, page, "rowheader")).toHaveLength(2)
      yield* Effect.promise(() => page.locator(`${row} a`).click())
      yield* sees(page, "#retrieval-live", /^Live: it is being fetched\.$/u)
      yield* sees(page, "#retrieval-rate", /B\/s, .*about \d+ (?:s|min) left$/u)
      yield* sees(page, "#retrieval-links", /^4 d 23 h$/u)
      expect(yield* role(context, page, "progressbar")).toEqual(["Bytes fetched"])
      yield* isSound(page)
      yield* Effect.promise(() => page.setViewportSize({ width: 1280, height: 800 }))

      // It is stopped after a question only, and retried.
      yield* tabTo(page, stop)
      yield* press(page, "Enter")
      expect(yield* role(context, page, "dialog")).toEqual(["Stop this retrieval?"])
      expect(yield* focused(page)).toBe("Let it go on")
      yield* isSound(page)
      yield* press(page, "Enter")
      expect(yield* focused(page)).toBe(stop)
      expect(yield* text(page, "#retrieval-state")).toBe("running")
      yield* press(page, "Enter", "Shift+Tab", "Enter")
      yield* sees(page, "#retrieval-live", /^It was stopped\.$/u)
      expect(yield* focused(page)).toBe("slow.jsonl.gz")
      yield* sandbox.clearFaults
      yield* tabTo(page, "Retry slow.jsonl.gz")
      yield* press(page, "Enter")
      yield* sees(page, "#retrieval-live", /^Delivered/u)
      expect(yield* text(page, "#retrieval-attempt")).toBe("2")

      // What failed says why, and what to do.
      const failed = yield* hand(broken, "broken.csv")
      const other = yield* open(context, url, `/#retrievals/${failed}`, 390)
      yield* types(other.page, token)
      yield* sees(other.page, "#retrieval-why", /^BatchFailed: .*out of <luck>/u)
      expect(yield* text(other.page, "#retrieval-advice")).toContain("start a new job")
      yield* sees(other.page, "#retrieval-live", /^It has failed\.$/u)
      yield* isSound(other.page)
      yield* Effect.promise(() => other.page.goto(`${url}/#retrievals/${nobody}`))
      yield* sees(other.page, "#trouble", new RegExp(`no retrieval ${nobody}`, "u"))
      yield* Effect.promise(() => other.page.goto(`${url}/#retrievals/1`))
      yield* sees(other.page, "#trouble", /^This is no id of a retrieval\.$/u)

      // Filtered, which an address keeps, and page by page.
      yield* Effect.forEach(Array.from({ length: 20 }), (_, index) => hand(stuck, `${index}/`), {
        concurrency: 10
      })
      yield* Effect.promise(() => page.goto(`${url}/#retrievals`))
      yield* sees(page, "#retrieval-count", /^20 retrievals: 20 waiting\.$/u)
      yield* sees(page, "#retrievals .below", /^for the job$/u)
      yield* tabTo(page, "Older retrievals")
      yield* press(page, "Enter")
      yield* sees(page, "#retrieval-count", /^3 retrievals: 2 done, 1 failed\.$/u)
      expect(yield* focused(page)).toBe("Retrievals")
      yield* sees(page, "#retrievals .why", /^BatchFailed: /u)
      yield* Effect.promise(() => page.locator("#filter-state").selectOption("failed"))
      yield* Effect.promise(() => page.getByRole("button", { name: "Filter" }).click())
      yield* sees(page, "#retrieval-count", /^1 retrieval: 1 failed\.$/u)
      expect(yield* focused(page)).toBe("Filter")
      yield* Effect.promise(() => page.reload())
      yield* sees(page, "#retrieval-count", /^1 retrieval: 1 failed\.$/u)
      yield* Effect.promise(() => page.goto(`${url}/#${done}`))
      yield* Effect.promise(() => page.getByRole("link", { name: "Retrievals of this job" }).click())
      yield* sees(page, "#retrieval-count", /^1 retrieval: 1 done\.$/u)

      // A store that is away is said, and asked again in the time that the service names; what was known stays.
      yield* Effect.promise(() => page.goto(`${url}/#retrievals?state=done`))
      yield* sees(page, "#retrieval-count", /^2 retrievals: 2 done\.$/u)
      yield* Effect.promise(() => page.route(/\/retrievals\?/u, (route) => route.fulfill(away), { times: 1 }))
      yield* Effect.promise(() => page.getByRole("button", { name: "Refresh" }).click())
      yield* sees(page, "#trouble", /^Retrievals cannot be had now: .* Trying again in 1 s\.$/u)
      expect(yield* text(page, "#retrieval-count")).toBe("2 retrievals: 2 done.")
      yield* eventually(visible(page, "#trouble"), (isShown) => !isShown)

      // Who only looked on asked once; nothing came from elsewhere, no policy was violated, the token is in no address.
      expect(idle.requests.filter((path) => path.startsWith("/retrievals"))).toHaveLength(1)
      const all = [...requests, ...idle.requests, ...other.requests]
      expect(all.filter((path) => !path.startsWith("/") || path.includes(token))).toEqual([])
      expect(said.filter((message) => !message.startsWith("Failed to load resource"))).toEqual([])
      expect(yield* printed).not.toContain(token)
    })
  )
})

const One = Schema.Struct({ retrieval_id: Schema.String })

/** The service's words for a store that does not answer. */
const away = {
  status: 503,
  headers: { "retry-after": "1" },
  json: {
    error: {
      type: "StoreUnavailable",
      message: "the store of the retrievals cannot be reached: Connection terminated",
      metadata: null
    }
  }
}

const Tree = Schema.Struct({
  nodes: Schema.Array(
    Schema.Struct({
      ignored: Schema.Boolean,
      role: Schema.optional(Schema.Struct({ value: Schema.Unknown })),
      name: Schema.optional(Schema.Struct({ value: Schema.Unknown }))
    })
  )
})

/** The names of all that has a role, as the browser tells them to a screen reader. */
const role = (context: BrowserContext, page: Page, wanted: string): Effect.Effect<ReadonlyArray<unknown>> =>
  Effect.promise(async () => {
    const session = await context.newCDPSession(page)
    const tree = await session.send("Accessibility.getFullAXTree")
    await session.detach()
    return Schema.decodeUnknownSync(Tree)(tree)
      .nodes.filter(({ ignored, role }) => !ignored && role?.value === wanted)
      .map(({ name }) => name?.value)
  })
