/**
 * The services of `@org/batch-core` on Node, and the signals that end a process.
 *
 * @packageDocumentation
 */
export * as Address from "./Address.js"
export * as Disk from "./Disk.js"
export * as Liveness from "./Liveness.js"
export * as Network from "./Network.js"
export * as Signals from "./Signals.js"
