#!/usr/bin/env node
/**
 * The binary. It turns on Node's compile cache (22.8 and later) before it loads anything, so that later runs start
 * faster, and loads the program only if there is something to run.
 */
import Module from "node:module"

if ("enableCompileCache" in Module && typeof Module.enableCompileCache === "function")
  Module.enableCompileCache()
const { answer } = await import("./Answer.js")
if (!(await answer(process.argv.slice(2)))) await import("./Main.js")
