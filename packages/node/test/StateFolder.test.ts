import { expect, it } from "vitest"
import * as StateFolder from "../src/StateFolder.js"

it.each([
  [{ XDG_STATE_HOME: "/state", HOME: "/home/a" }, "/state/batchctl/campaigns"],
  [{ XDG_STATE_HOME: "/state/" }, "/state/batchctl/campaigns"],
  [{ XDG_STATE_HOME: "state", HOME: "/home/a" }, "/home/a/.local/state/batchctl/campaigns"],
  [{ XDG_STATE_HOME: "", HOME: "/home/a" }, "/home/a/.local/state/batchctl/campaigns"],
  [{ HOME: "", USERPROFILE: "/users/a" }, "/users/a/.local/state/batchctl/campaigns"],
  [{ XDG_STATE_HOME: "state" }, undefined],
  [{}, undefined]
])("of %j it is %s", (variables, folder) => {
  expect(StateFolder.below(variables, "batchctl", "campaigns")).toBe(folder)
})
