/** What the bundles of the apps have in common: plugins of esbuild that leave out of a start what it does not need. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"

/** Leaves out packages that are imported and never used, since loading them costs every start; whatever uses one fails. */
export const unused = (...names) => ({
  name: "unused",
  setup({ onLoad, onResolve }) {
    onResolve({ filter: new RegExp(`^(?:${names.join("|")})$`) }, ({ path }) => ({
      path,
      namespace: "unused"
    }))
    onLoad({ filter: /.*/, namespace: "unused" }, () => ({
      contents: "module.exports = () => () => undefined"
    }))
  }
})

/** Parts of Node that cost time to load, and that many a run does not need, are loaded when something of them is used. */
export const whenUsed = {
  name: "when-used",
  setup({ onLoad, onResolve }) {
    const costly = /^(?:node:)?(child_process|crypto|dns|fs\/promises|https|os|tls|vm|zlib)$/
    onResolve({ filter: costly }, ({ path }) => ({ path: costly.exec(path)[1], namespace: "when-used" }))
    onLoad({ filter: /.*/, namespace: "when-used" }, ({ path }) => {
      const names = Object.keys(process.getBuiltinModule(path)).filter((name) => /^\w+$/.test(name))
      return {
        contents: `let loaded; const the = () => (loaded ??= process.getBuiltinModule("${path}"))
          module.exports = { ${names.map((name) => `get ${name}() { return the().${name} }`).join(", ")} }`
      }
    })
  }
}

/** Packages whose root has nothing but modules as a whole, and where each module is. */
const modules = {
  effect: (name) => `effect/${name}`,
  "@effect/platform": (name) => `@effect/platform/${name}`,
  "@effect/platform-node": (name) => `@effect/platform-node/${name}`,
  "@org/batch-durable": (name) => join(import.meta.dirname, "../packages/durable/src", `${name}.ts`)
}

/**
 * What is imported by the name of such a package comes with all of its module; by the name of the module, with what is used
 * of it.
 */
export const ofModules = {
  name: "of-modules",
  setup({ onLoad }) {
    const imports = new RegExp(`^import \\{([^}]+)\\} from "(${Object.keys(modules).join("|")})"$`, "gm")
    const byModule = (_, names, from) =>
      names
        .split(",")
        .map((name) => name.trim())
        .filter((name) => name !== "" && !name.startsWith("type "))
        .map((item) => {
          const [name, local = name] = item.split(" as ")
          return /^[A-Z]/.test(name)
            ? `import * as ${local} from ${JSON.stringify(modules[from](name))}`
            : `import { ${item} } from "${from}/Function"`
        })
        .join("; ")
    onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
      contents: (await readFile(path, "utf8")).replaceAll(imports, byModule),
      loader: "ts"
    }))
  }
}
