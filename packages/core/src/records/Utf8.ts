/**
 * Whether bytes are UTF-8. Bundles for browsers have `Utf8Browser` in its place (`imports` of package.json), which is
 * slower by far.
 *
 * @example
 * import { isUtf8 } from "./Utf8.js"
 *
 * const sound = (line: Uint8Array) => isUtf8(line)
 */
export { isUtf8 } from "node:buffer"
