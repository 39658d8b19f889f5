// Builds the API reference of the public packages from their doc comments, as static pages in docs/api, and looks whether
// every link in them leads somewhere.
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { Application } from "typedoc"

const out = "docs/api"
const packages = readdirSync("packages").map((name) => `packages/${name}`)

// Some types behind public ones are nobody's business.
const validation = { notExported: false, invalidLink: true, notDocumented: false }

const app = await Application.bootstrapWithPlugins({
  name: "batch-retriever",
  entryPointStrategy: "packages",
  entryPoints: packages,
  packageOptions: {
    entryPoints: ["src/index.ts"],
    tsconfig: "tsconfig.build.json",
    readme: "none",
    validation
  },
  readme: "none",
  disableGit: true,
  disableSources: true,
  excludePrivate: true,
  validation,
  treatValidationWarningsAsErrors: true,
  logLevel: "Warn"
})
const project = await app.convert()
if (project === undefined) process.exit(1)
app.validate(project)
await app.generateDocs(project, out)
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1)

const pages = new Map(
  readdirSync(out, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".html"))
    .map((name) => [name, readFileSync(join(out, name), "utf8")])
)
const ids = new Map(
  [...pages].map(([name, html]) => [name, new Set([...html.matchAll(/ id="([^"]+)"/gu)].map(([, id]) => id))])
)
const assets = new Set(readdirSync(out, { recursive: true, encoding: "utf8" }))
const broken = [...pages].flatMap(([name, html]) =>
  [...html.matchAll(/(?:href|src)="([^"]+)"/gu)]
    .map(([, link]) => link)
    .filter((link) => {
      if (/^(?:https?:|data:|mailto:)/u.test(link)) return false
      const { pathname, hash } = new URL(link, "file:///")
      const [path] = link.split(/[?#]/u)
      const target = path === "" ? name : join(dirname(name), decodeURIComponent(path))
      if (!assets.has(target)) return pathname !== ""
      const id = decodeURIComponent(hash.slice(1))
      return id !== "" && pages.has(target) && !ids.get(target).has(id)
    })
    .map((link) => `${relative("", join(out, name))}: ${link}`)
)
for (const line of new Set(broken)) console.error(`broken link: ${line}`)
console.log(`${pages.size} pages in ${out}, ${new Set(broken).size} broken links`)
process.exitCode = broken.length === 0 && pages.size > packages.length ? 0 : 1
