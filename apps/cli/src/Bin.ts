#!/usr/bin/env node
/**
 * The binary. It turns on Node's compile cache (22.8 and later) before it loads the program, so that later runs start
 * faster.
 */
import Module from "node:module"

if ("enableCompileCache" in Module && typeof Module.enableCompileCache === "function")
  Module.enableCompileCache()
await import("./Main.js")
