/** Chromium, which may not be installed. */
import { afterAll, expect, it } from "@effect/vitest"
import axe from "axe-core"
import { Effect, type Scope } from "effect"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core"
import { eventually } from "./Service.js"

/** A page, and what goes on in it. */
export interface Watched {
  readonly page: Page
  /** What was asked for: paths of this service, and whole addresses of others. */
  readonly requests: ReadonlyArray<string>
  /** Errors and warnings of the page, violations of its policy among them. */
  readonly said: ReadonlyArray<string>
}

/** The browser of a file's tests. */
let launched: Promise<Browser> | undefined

const close = async () => {
  const browser = await launched
  launched = undefined
  await browser?.close()
}

/** A test in a browser with a profile of its own that can resolve no name; it is skipped where there is no Chromium. */
export const inBrowser = (
  name: string,
  body: (context: BrowserContext) => Effect.Effect<void, unknown, Scope.Scope>
) => {
  // Here, since files share this module: each closes what it opened.
  afterAll(close)
  it.scopedLive(
    name,
    (test) =>
      Effect.gen(function* () {
        const executablePath = installed()
        if (executablePath === undefined) return test.skip("there is no Chromium on the PATH")
        const browser = yield* Effect.promise(
          () => (launched ??= chromium.launch({ executablePath, args: flags }))
        )
        const context = yield* Effect.acquireRelease(
          Effect.promise(() => browser.newContext()),
          (opened) => Effect.promise(() => opened.close())
        )
        return yield* body(context)
      }),
    300_000
  )
}

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

/** What an element reads. */
export const text = (page: Page, selector: string): Effect.Effect<string> =>
  Effect.promise(() => page.locator(selector).first().innerText())

/** Whether an element is shown. */
export const visible = (page: Page, selector: string): Effect.Effect<boolean> =>
  Effect.promise(() => page.locator(selector).isVisible())

/** Waits until an element reads so; each look costs the browser something. */
export const sees = (page: Page, selector: string, pattern: RegExp): Effect.Effect<string> => {
  const look = text(page, selector)
  return Effect.flatMap(look, (seen) =>
    pattern.test(seen)
      ? Effect.succeed(seen)
      : eventually(Effect.delay(look, "85 millis"), (later) => pattern.test(later))
  )
}

/** Signs in. */
export const types = (page: Page, credential: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    await page.locator("#credential").fill(credential)
    await page.keyboard.press("Enter")
  })

/** No fault of access that axe finds, light or dark, and nothing wider than the screen. */
export const isSound = (page: Page): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (const [colorScheme, options] of [
      // The colours are all that differs.
      ["dark", '{ runOnly: ["color-contrast"] }'],
      ["light", "{}"]
    ] as const) {
      const violations = yield* Effect.promise(async () => {
        await page.emulateMedia({ colorScheme })
        if (!(await page.evaluate<boolean>("'axe' in window"))) await page.evaluate(axe.source)
        const { violations } = await page.evaluate<axe.AxeResults>(`axe.run(${options})`)
        return violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html) }))
      })
      expect(violations).toEqual([])
    }
    expect(yield* Effect.promise(() => page.evaluate<ReadonlyArray<string>>(tooWide))).toEqual([])
  })

/** Presses keys, one after the other. */
export const press = (page: Page, ...keys: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.promise(async () => {
    for (const key of keys) await page.keyboard.press(key)
  })

/** The name of what has the focus. */
export const focused = (page: Page): Effect.Effect<string> =>
  Effect.promise(() =>
    page.evaluate<string>("document.activeElement.ariaLabel ?? document.activeElement.textContent")
  )

/** Goes on by the Tab key until what has that name has the focus. */
export const tabTo = (page: Page, name: string): Effect.Effect<string> =>
  eventually(Effect.zipRight(press(page, "Tab"), focused(page)), (found) => found === name)

// ----------------------------------------------------------------------------------------------------------------

/** What reaches beyond the right edge of the screen, unless it is hidden in another way. */
const tooWide = `[...document.querySelectorAll("body *")]
  .filter((element) => element.checkVisibility() && getComputedStyle(element).clipPath === "none"
    && element.getBoundingClientRect().right > document.documentElement.clientWidth)
  .map((element) => element.outerHTML)`

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
