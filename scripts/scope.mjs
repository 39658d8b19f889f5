// Renames the placeholders: node scripts/scope.mjs @acme acme/batch-retriever
// `@org` becomes your scope on the npm registry, `org/batch-retriever` your repository on GitHub.
import { execFileSync } from "node:child_process"
import { lstatSync, readFileSync, writeFileSync } from "node:fs"

const [scope = "", repository = ""] = process.argv.slice(2)
if (!/^@[a-z0-9][a-z0-9._-]*$/u.test(scope) || !/^[\w.-]+\/[\w.-]+$/u.test(repository)) {
  console.error("usage: node scripts/scope.mjs @scope owner/repository")
  process.exit(2)
}

const files = execFileSync("git", ["ls-files", "-z"], { encoding: "utf8" }).split("\0").slice(0, -1)
let changed = 0
for (const file of files.filter((name) => lstatSync(name).isFile() && name !== "scripts/scope.mjs")) {
  const before = readFileSync(file, "utf8")
  // Tarballs are named after the scope, too; another package's scope may end in ours.
  const after = before
    .replace(/(?<![\w.-])@org(?=\/batch-)/gu, scope)
    .replaceAll("github.com/org/batch-retriever", `github.com/${repository}`)
  if (after === before) continue
  writeFileSync(file, after)
  changed += 1
}
console.log(`${changed} files changed; now run: npx -y pnpm@12 install && npx -y pnpm@12 format`)
