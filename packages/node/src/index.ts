/**
 * What `@org/batch-core` needs of Node.
 *
 * @packageDocumentation
 */
export * as Address from "./Address.js"
export * as Disk from "./Disk.js"
export * as Liveness from "./Liveness.js"
export * as Network from "./Network.js"
export * as Signals from "./Signals.js"
