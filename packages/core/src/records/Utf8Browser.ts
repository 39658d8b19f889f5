/**
 * `Utf8` for bundles that run in a browser.
 *
 * @example
 * import { isUtf8 } from "./Utf8Browser.js"
 *
 * const sound = (line: Uint8Array) => isUtf8(line)
 */
import { Option } from "effect"

/** Whether the bytes are UTF-8. */
export const isUtf8 = (bytes: Uint8Array): boolean => Option.isSome(decode(bytes))

const strict = new TextDecoder("utf-8", { fatal: true })

const decode = Option.liftThrowable((bytes: Uint8Array) => strict.decode(bytes))
