import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"
import { check } from "./Compiler.js"

const repository = fileURLToPath(new URL("..", import.meta.url))
const packages = join(repository, "packages")
const source = (name: string) => join(packages, name, "src")
const here = join(repository, "tests")

/** The code of the `@example` in a module's own comment, without the comment's stars. */
const exampleOf = (module: string): string | undefined => {
  const header = /^\/\*\*(.*?)\*\//su.exec(readFileSync(module, "utf8"))?.[1] ?? ""
  return header.split("@example")[1]?.replace(/^ \* ?/gmu, "")
}

/** TypeScript blocks of a Markdown file. */
const blocksOf = (file: string): ReadonlyArray<string> =>
  [...readFileSync(file, "utf8").matchAll(/^```ts\n(.*?)^```$/gmsu)].map(([, code]) => code ?? "")

const modulesOf = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ts") && name !== "index.ts"
  )

const fileOf = (name: string): string => join(here, `${name.replaceAll(/[/.]/gu, "-")}.example.ts`)

const exportsOf = (name: string): Readonly<Record<string, string>> =>
  JSON.parse(readFileSync(join(packages, name, "package.json"), "utf8")).exports

/** Packages all of whose modules are public, and one that has more than its index names. */
const modules = [
  ...modulesOf(source("core")).map((module) => join(source("core"), module)),
  ...[...readFileSync(join(source("durable"), "index.ts"), "utf8").matchAll(/"\.\/(\w+)\.js"/gu)].map(
    ([, name = ""]) => join(source("durable"), `${name}.ts`)
  )
]

/** Code, under the name of a file that is not there: of a document, beside all packages. */
const examples = new Map<string, string>([
  ...["core", "node", "client", "durable"].flatMap((name) =>
    modulesOf(source(name)).flatMap((module): ReadonlyArray<[string, string]> => {
      const code = exampleOf(join(source(name), module))
      return code === undefined ? [] : [[join(source(name), module.replace(/ts$/u, "example.ts")), code]]
    })
  ),
  ...[
    "README.md",
    "docs/library.md",
    "docs/client.md",
    "packages/core/README.md",
    "packages/node/README.md",
    "packages/client/README.md",
    "packages/durable/README.md"
  ].flatMap((file) =>
    blocksOf(join(repository, file)).map((code, index): [string, string] => [
      fileOf(`${file}/${index}`),
      code
    ])
  )
])

it("every public module has an example", () => {
  expect(modules.filter((module) => exampleOf(module) === undefined)).toEqual([])
})

it("all examples compile, as they stand", { timeout: 600_000 }, async () => {
  const base: { readonly compilerOptions: object } = JSON.parse(
    readFileSync(join(repository, "tsconfig.base.json"), "utf8")
  )
  const { checked, faults } = await check({
    folder: repository,
    files: Object.fromEntries(examples),
    options: {
      ...base.compilerOptions,
      noEmit: true,
      composite: false,
      incremental: false,
      noUnusedLocals: false,
      rootDir: ".",
      // An example lies beside its module, which need not know what else the example uses.
      paths: Object.fromEntries(
        ["core", "node", "client", "durable", "sandbox"].flatMap((name) => [
          [`@org/batch-${name}`, [join(source(name), "index.ts")]],
          ...Object.entries(exportsOf(name)).map(([path, file]) => [
            `@org/batch-${name}/${path.slice(2)}`,
            [join(packages, name, file)]
          ])
        ])
      )
    }
  })
  expect(faults).toEqual([])
  expect(checked).toBe(examples.size)
})
