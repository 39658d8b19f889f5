// Opens a built package for CommonJS. Each module of its exports gets a `.cjs` that requires the ES module, so that there is
// one instance whoever asks; each declaration gets a twin in `.d.cts`, which says to TypeScript that it may be required.
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"

const { publishConfig } = JSON.parse(readFileSync("package.json", "utf8"))
const required = Object.values(publishConfig.exports).flatMap((target) => target.require ?? [])
for (const file of required)
  writeFileSync(file, `module.exports = require("./${basename(file, ".cjs")}.js")\n`)

for (const name of readdirSync("dist", { recursive: true }).filter((file) => file.endsWith(".d.ts"))) {
  const declarations = readFileSync(join("dist", name), "utf8")
  const twin = declarations.replace(/(["'])(\.{1,2}\/[^"'\n]+)\.js\1/gu, "$1$2.cjs$1")
  writeFileSync(join("dist", name.replace(/\.d\.ts$/u, ".d.cts")), twin)
}
