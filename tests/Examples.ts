/** The examples of comments and documents: TypeScript that has to compile as it stands. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const repository = fileURLToPath(new URL("..", import.meta.url))
const source = (name: string) => join(repository, "packages", name, "src")

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

/** Packages all of whose modules are public, and one that has more than its index names. */
const modules = [
  ...modulesOf(source("core")).map((module) => join(source("core"), module)),
  ...[...readFileSync(join(source("durable"), "index.ts"), "utf8").matchAll(/"\.\/(\w+)\.js"/gu)].map(
    ([, name = ""]) => join(source("durable"), `${name}.ts`)
  )
]

/** Public modules that have no example. */
export const missing = (): ReadonlyArray<string> =>
  modules.filter((module) => exampleOf(module) === undefined)

/** Examples, under the path where each would lie in a project that has all packages: that of a module beside it. */
export const all = (): ReadonlyMap<string, string> =>
  new Map([
    ...["core", "node", "client", "durable"].flatMap((name) =>
      modulesOf(source(name)).flatMap((module): ReadonlyArray<[string, string]> => {
        const code = exampleOf(join(source(name), module))
        const path = `node_modules/@org/batch-${name}/dist/${module.replace(/ts$/u, "example.ts")}`
        return code === undefined ? [] : [[path, code]]
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
        `${file.replaceAll(/[/.]/gu, "-")}-${index}.ts`,
        code
      ])
    )
  ])
