// Adds up what vitest wrote in every package and ends with "N passed, N failed[, N skipped]".
// A package with tests but no results, and a test file that could not be loaded, count as one failure each.
import { existsSync, readdirSync, readFileSync } from "node:fs"

const total = { passed: 0, failed: 0, skipped: 0 }

const packages = ["packages", "apps"]
  .flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`))
  .concat("tests")
  .filter((folder) => existsSync(`${folder}/vitest.config.ts`))

for (const folder of packages) {
  const file = `${folder}/.test-results/results.json`
  if (!existsSync(file)) {
    total.failed += 1
    console.log(`${folder}: no test results`)
    continue
  }
  const { testResults } = JSON.parse(readFileSync(file, "utf8"))
  for (const { assertionResults, name, status } of testResults) {
    const failed = assertionResults.filter((test) => test.status === "failed")
    const passed = assertionResults.filter((test) => test.status === "passed")
    total.passed += passed.length
    total.failed += failed.length
    total.skipped += assertionResults.length - passed.length - failed.length
    for (const test of failed) console.log(`${folder}: ${test.fullName}`)
    if (status === "failed" && failed.length === 0) {
      total.failed += 1
      console.log(`${folder}: ${name} failed as a whole`)
    }
  }
}

if (total.passed + total.failed === 0) console.log("no tests found")
const skipped = total.skipped === 0 ? "" : `, ${total.skipped} skipped`
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`)
process.exitCode = total.passed > 0 && total.failed === 0 ? 0 : 1
