/**
 * What `@org/batch-core` needs of Node.
 *
 * @packageDocumentation
 */
export * as Address from "./Address.js"
export * as LocalMachine from "./LocalMachine.js"
export * as Network from "./Network.js"
