import { expect, it } from "@effect/vitest"
import { Either, Option } from "effect"
import * as Profile from "../../src/settings/Profile.js"

it("reads KEY=value lines as a shell would", () => {
  const text = `# settings\n\nCRUSTDATA_API_KEY="a=b c"\r\nexport BATCH_POLL_MAX_DELAY = 1m\nCRUSTDATA_BASE_URL=\n`
  expect(Either.map(Profile.parse(text), (variables) => [...variables])).toEqual(
    Either.right([
      ["CRUSTDATA_API_KEY", "a=b c"],
      ["BATCH_POLL_MAX_DELAY", "1m"],
      ["CRUSTDATA_BASE_URL", ""]
    ])
  )
})

it("says which line is wrong and never what it holds", () => {
  expect(Profile.parse("CRUSTDATA_API_KEY=x\n\nsecret stuff")).toEqual(
    Either.left("line 3 is not of the form KEY=value")
  )
  expect(Profile.parse("PATH=/secret")).toEqual(
    Either.left("line 1: PATH is no setting of batchctl (they begin with CRUSTDATA_ or BATCH_)")
  )
})

it("lies below XDG_CONFIG_HOME, or below the home folder", () => {
  expect(Profile.path({ HOME: "/h" })).toEqual(Option.some("/h/.config/batchctl/config"))
  expect(Profile.path({ HOME: "/h", XDG_CONFIG_HOME: "/x" })).toEqual(Option.some("/x/batchctl/config"))
  expect(Profile.path({})).toEqual(Option.none())
})
