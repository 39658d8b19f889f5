/**
 * Standard input as a stream of bytes.
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import { StorageError } from "@org/batch-core/BatchError"
import type { Stream } from "effect"

/** The bytes of standard input. */
export const standardInput: Stream.Stream<Uint8Array, StorageError> = NodeStream.fromReadable(
  () => process.stdin,
  (cause) =>
    new StorageError({
      reason: "Unreadable",
      path: "standard input",
      detail: cause instanceof Error ? cause.message : String(cause)
    })
)
