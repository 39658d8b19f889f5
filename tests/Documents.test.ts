import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"

const repository = fileURLToPath(new URL("..", import.meta.url))
const documents = execFileSync("git", ["ls-files", "-z", "*.md"], { cwd: repository, encoding: "utf8" })
  .split("\0")
  .filter((name) => name !== "" && !name.startsWith(".changeset/"))

/** The name under which a heading is linked to. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-")

it("every link from a document to another file, or to a heading in it, leads somewhere", () => {
  const broken = documents.flatMap((name) =>
    [...readFileSync(join(repository, name), "utf8").matchAll(/\]\(([^)\s]+)\)/gu)]
      .map(([, link = ""]) => link)
      .filter((link) => {
        const own = link.replace(/^https:\/\/github\.com\/org\/batch-retriever\/(?:blob|tree)\/main\//u, "/")
        if (/^\w+:/u.test(own)) return false
        const [path = "", hash] = own.split("#")
        const folder = path.startsWith("/") ? repository : join(repository, dirname(name))
        const file = path === "" ? join(repository, name) : join(folder, path)
        if (!existsSync(file)) return true
        if (hash === undefined || hash === "readme") return false
        return ![...readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gmu)].some(
          ([, title = ""]) => anchor(title) === hash
        )
      })
      .map((link) => `${name}: ${link}`)
  )
  expect(documents.length).toBeGreaterThan(10)
  expect(broken).toEqual([])
})

it("the README is read in one go", () => {
  const lines = readFileSync(join(repository, "README.md"), "utf8").trimEnd().split("\n")
  expect(lines.length).toBeLessThanOrEqual(150)
})
