/**
 * The logger: each message is a line on standard error, such as `warning: …`, with its links masked.
 */
import { maskText } from "@org/batch-core/Masking"
import { Effect, Inspectable, Layer, Logger } from "effect"
import { Stderr } from "./Stderr.js"

const words: Readonly<Record<string, string>> = {
  WARN: "warning: ",
  ERROR: "error: ",
  FATAL: "error: ",
  INFO: ""
}

/** Replaces Effect's default logger, which writes to standard output. */
export const layer: Layer.Layer<never, never, Stderr> = Layer.unwrapEffect(
  Effect.map(Stderr, (stderr) =>
    Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ logLevel, message }) => {
        const text = (Array.isArray(message) ? message : [message]).map((part) =>
          Inspectable.toStringUnknown(part, 0)
        )
        stderr.unsafeLine(`${words[logLevel.label] ?? "debug: "}${maskText(text.join(" "))}`)
      })
    )
  )
)
