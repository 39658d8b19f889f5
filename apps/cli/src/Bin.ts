#!/usr/bin/env node
/**
 * The binary: compiled code is cached from run to run where Node can do so (22.8 and later), before anything is loaded.
 */
import Module from "node:module"

if ("enableCompileCache" in Module && typeof Module.enableCompileCache === "function")
  Module.enableCompileCache()
await import("./Main.js")
