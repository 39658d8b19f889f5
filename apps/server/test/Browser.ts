/** Chromium, which may not be installed. */
import { it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { type BrowserContext, chromium, type Page } from "playwright-core"

/** A page, and what goes on in it. */
export interface Watched {
  readonly page: Page
  /** What was asked for: paths of this service, and whole addresses of others. */
  readonly requests: ReadonlyArray<string>
  /** Errors and warnings of the page, violations of its policy among them. */
  readonly said: ReadonlyArray<string>
}

/** A test in a browser with a profile of its own that can resolve no name; it is skipped where there is no Chromium. */
export const inBrowser = (
  name: string,
  body: (context: BrowserContext) => Effect.Effect<void, unknown, Scope.Scope>
) =>
  it.scopedLive(
    name,
    (test) =>
      Effect.gen(function* () {
        const executablePath = installed()
        if (executablePath === undefined) return test.skip("there is no Chromium on the PATH")
        const browser = yield* Effect.acquireRelease(
          Effect.promise(() => chromium.launch({ executablePath, args: flags })),
          (launched) => Effect.promise(() => launched.close())
        )
        return yield* body(yield* Effect.promise(() => browser.newContext()))
      }),
    300_000
  )

/** Opens a page of a service, in a tab of its own. */
export const open = (
  context: BrowserContext,
  url: string,
  path: string,
  width = 1280
): Effect.Effect<Watched> =>
  Effect.promise(async () => {
    const page = await context.newPage()
    await page.setViewportSize({ width, height: 800 })
    const requests: Array<string> = []
    const said: Array<string> = []
    page.on("request", (request) => requests.push(request.url().replace(url, "")))
    page.on("pageerror", ({ message }) => said.push(message))
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") said.push(message.text())
    })
    await page.goto(`${url}${path}`)
    return { page, requests, said }
  })

// ----------------------------------------------------------------------------------------------------------------

const flags = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  "--no-sandbox",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
]

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
