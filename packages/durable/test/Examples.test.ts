import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { expect, it } from "vitest"

const root = fileURLToPath(new URL("..", import.meta.url))
const src = join(root, "src")

const exampleOf = (module: string): string | undefined =>
  /^\/\*\*(.*?)\*\//su
    .exec(readFileSync(join(src, module), "utf8"))?.[1]
    ?.split("@example")[1]
    ?.replace(/^ \* ?/gmu, "")

const readme = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```ts\n(.*?)^```$/gmsu)]

it("the examples of the README and of the public modules compile, as they stand", async () => {
  const index = readFileSync(join(src, "index.ts"), "utf8")
  const modules = [...index.matchAll(/"\.\/(\w+)\.js"/gu)].map(([, name]) => `${name}.ts`)
  expect(modules.filter((module) => exampleOf(module) === undefined)).toEqual([])
  const folder = join(root, ".test-results/examples")
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const options = { noEmit: true, composite: false, incremental: false, noUnusedLocals: false }
  const config = { extends: "../../../../tsconfig.base.json", compilerOptions: options, include: ["*.ts"] }
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config))
  for (const module of modules) await writeFile(join(folder, module), exampleOf(module) ?? "")
  for (const [number, [, code]] of readme.entries()) {
    await writeFile(join(folder, `readme-${number}.ts`), code ?? "")
  }
  const tsc = join(root, "node_modules/.bin/tsc")
  const { stdout } = await promisify(execFile)(tsc, ["-p", folder]).catch(
    (failed: { stdout: string }) => failed
  )
  expect(stdout).toBe("")
})
