import { describe, expect, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const root = fileURLToPath(new URL("..", import.meta.url))
const src = join(root, "src")
const node = join(root, "../node/src")
const client = join(root, "../client/src")

/** The code of the `@example` in a module's own comment, without the comment's stars. */
const exampleOf = (module: string, folder = src): string | undefined => {
  const header = /^\/\*\*(.*?)\*\//su.exec(readFileSync(join(folder, module), "utf8"))?.[1] ?? ""
  return header.split("@example")[1]?.replace(/^ \* ?/gmu, "")
}

/** TypeScript blocks of a Markdown file. */
const blocksOf = (file: string): ReadonlyArray<string> =>
  [...readFileSync(file, "utf8").matchAll(/^```ts\n(.*?)^```$/gmsu)].map(([, code]) => code ?? "")

const modulesOf = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ts") && name !== "index.ts"
  )

const examplesOf = (folder: string): ReadonlyArray<[string, string]> =>
  modulesOf(folder).flatMap((module): ReadonlyArray<[string, string]> => {
    const code = exampleOf(module, folder)
    return code === undefined ? [] : [[join(folder, `${module.replace(/\.ts$/u, "")}.example.ts`), code]]
  })

const modules = modulesOf(src)
const examples = new Map<string, string>([
  ...examplesOf(src),
  ...examplesOf(node),
  ...examplesOf(client),
  ...[
    "../../README.md",
    "../../docs/library.md",
    "../../docs/client.md",
    "README.md",
    "../node/README.md",
    "../client/README.md"
  ].flatMap((file, place) =>
    blocksOf(join(root, file)).map((code, index): [string, string] => [
      join(src, `document-${place}-${index}.example.ts`),
      code
    ])
  )
])

describe("examples", () => {
  it("every module has one", () => {
    expect(modules.filter((module) => exampleOf(module) === undefined)).toEqual([])
  })

  it("all compile, as they stand", () => {
    const { config } = ts.readConfigFile(join(root, "tsconfig.build.json"), ts.sys.readFile)
    const parsed = ts.parseJsonConfigFileContent(config, ts.sys, root)
    const options = {
      ...parsed.options,
      noEmit: true,
      composite: false,
      incremental: false,
      rootDir: join(root, ".."),
      // The documents use them, and core does not know them.
      paths: {
        "@org/batch-node": [join(node, "index.ts")],
        "@org/batch-node/*": [join(node, "*.ts")],
        "@org/batch-client": [join(client, "index.ts")],
        "@electric-sql/*": [join(root, "../../tests/node_modules/@electric-sql/*/dist/index.d.ts")]
      },
      noUnusedLocals: false
    }
    const host = ts.createCompilerHost(options)
    const { fileExists, readFile } = host
    host.fileExists = (file) => examples.has(file) || fileExists(file)
    host.readFile = (file) => examples.get(file) ?? readFile(file)
    const program = ts.createProgram([...examples.keys()], options, host)
    const faults = [...examples.keys()].flatMap((file) => {
      const source = program.getSourceFile(file)
      return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
        ({ messageText }) =>
          `${file.slice(src.length + 1)}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`
      )
    })
    expect(faults).toEqual([])
  }, 600_000)
})
