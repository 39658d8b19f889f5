/** The layer that a client runs on. */
import type * as BatchConfig from "@org/batch-core/BatchConfig"
import { BatchNode } from "@org/batch-node"
import { Layer, Logger, Redacted } from "effect"
import type { Duration } from "../Duration.js"
import type { Settings } from "../Settings.js"

/** Everything, which prints nothing: what there is to tell is told by events. */
export const layer = (settings: Settings): Layer.Layer<BatchNode.Services, BatchNode.SettingError> =>
  Layer.merge(BatchNode.layerWith(optionsOf(settings)), Logger.remove(Logger.defaultLogger))

/** A duration with its unit; one that makes no sense is refused by its setting. */
const text = (value: Duration | undefined): string | undefined =>
  typeof value === "number" ? `${value}s` : value

const optionsOf = ({ apiKey, baseUrl, poll, retry, transfer }: Settings): BatchConfig.Options => ({
  baseUrl,
  apiKey: apiKey === undefined ? undefined : Redacted.make(apiKey),
  poll: {
    ...poll,
    initialDelay: text(poll?.initialDelay),
    maxDelay: text(poll?.maxDelay),
    slowAfter: text(poll?.slowAfter),
    slowMaxDelay: text(poll?.slowMaxDelay),
    minDelay: text(poll?.minDelay),
    maxHint: text(poll?.maxHint)
  },
  retry: {
    ...retry,
    baseDelay: text(retry?.baseDelay),
    maxDelay: text(retry?.maxDelay),
    throttledBaseDelay: text(retry?.throttledBaseDelay),
    throttledMaxDelay: text(retry?.throttledMaxDelay),
    maxRetryAfter: text(retry?.maxRetryAfter),
    attemptTimeout: text(retry?.attemptTimeout)
  },
  transfer: {
    ...transfer,
    idleTimeout: text(transfer?.idleTimeout),
    refreshBefore: text(transfer?.refreshBefore),
    settle: text(transfer?.settle),
    syncInterval: text(transfer?.syncInterval),
    lockPatience: text(transfer?.lockPatience)
  }
})
