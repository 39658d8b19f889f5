/**
 * A stateful local upstream for tests, demos and development: the batch API, its file host, and scripted faults.
 */
export * as Fault from "./Fault.js"
export * as JobSpec from "./JobSpec.js"
export * as Sandbox from "./Sandbox.js"
