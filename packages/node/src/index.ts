/**
 * The services of `@org/batch-core` on Node, and the signals that end a process.
 *
 * @packageDocumentation
 */
export * as Address from "./Address.js"
export * as BatchNode from "./BatchNode.js"
export * as LocalMachine from "./LocalMachine.js"
export * as Network from "./Network.js"
export * as Signals from "./Signals.js"
export * as StateFolder from "./StateFolder.js"
