// Opens the built packages for CommonJS. Each module of a package's exports gets a `.cjs` that requires the ES module, so that
// there is one instance whoever asks; each declaration gets a twin in `.d.cts`, which says to TypeScript that it may be required.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"

for (const name of readdirSync("packages")) {
  const root = join("packages", name)
  const dist = join(root, "dist")

  // The compiler leaves what it made of a module that is gone.
  const outputs = readdirSync(dist, { recursive: true, encoding: "utf8" })
  for (const file of outputs) {
    const stem = file.match(/^(.+?)(?:\.d\.c?ts|\.c?js)(?:\.map)?$/u)?.[1]
    if (stem !== undefined && !existsSync(join(root, "src", `${stem}.ts`))) rmSync(join(dist, file))
  }

  const { publishConfig } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  const required = Object.values(publishConfig.exports).flatMap((target) => target.require ?? [])
  for (const file of required)
    writeFileSync(join(root, file), `module.exports = require("./${basename(file, ".cjs")}.js")\n`)

  for (const file of outputs.filter((output) => output.endsWith(".d.ts") && existsSync(join(dist, output)))) {
    const declarations = readFileSync(join(dist, file), "utf8")
    const twin = declarations.replace(/(["'])(\.{1,2}\/[^"'\n]+)\.js\1/gu, "$1$2.cjs$1")
    writeFileSync(join(dist, file.replace(/\.d\.ts$/u, ".d.cts")), twin)
  }
}
