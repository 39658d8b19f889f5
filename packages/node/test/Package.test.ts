import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { publint } from "publint"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Index from "../src/index.js"

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = realpathSync(mkdtempSync(join(tmpdir(), "batch-node-package-")))
let tarball = ""

beforeAll(() => {
  execFileSync("pnpm", ["pack", "--pack-destination", folder], { cwd: root })
  tarball = join(folder, readdirSync(folder)[0] ?? "")
}, 600_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("the packed tarball", { timeout: 300_000 }, () => {
  it("pleases publint", async () => {
    const packed = Uint8Array.from(readFileSync(tarball)).buffer
    expect((await publint({ pack: { tarball: packed }, strict: true })).messages).toEqual([])
  })

  it("has types that resolve wherever its code does, for every module of the index", () => {
    const attw = join(root, "node_modules/.bin/attw")
    const printed = execFileSync(attw, [tarball, "--no-definitely-typed", "--no-color"], { encoding: "utf8" })
    expect(printed).toContain("No problems found")
    for (const name of Object.keys(Index)) expect(printed).toContain(`@org/batch-node/${name}"`)
  })
})
