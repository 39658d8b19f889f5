// Writes versions and change logs: what `changeset version` does, with peers of the same minor kept out of it. It takes a
// peer that leaves its range for a breaking change of whoever names it, and `~` is left by every minor of ours.
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"

const manifests = readdirSync("packages").map((name) => `packages/${name}/package.json`)
const replace = (from, to) => {
  for (const file of manifests) writeFileSync(file, readFileSync(file, "utf8").replaceAll(from, to))
}

replace('"workspace:~"', '"workspace:>=0.0.0"')
try {
  execFileSync("pnpm", ["exec", "changeset", "version"], { stdio: "inherit" })
} finally {
  replace('"workspace:>=0.0.0"', '"workspace:~"')
}
