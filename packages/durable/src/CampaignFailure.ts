/**
 * What a failure of a campaign, or of one of its chunks, comes to: it is tried again, or told.
 */
import type * as Core from "@org/batch-core/Campaign"
import { maskText } from "@org/batch-core/Masking"
import { Option } from "effect"
import * as CampaignFolder from "./CampaignFolder.js"
import type { Failure } from "./Retrieval.js"
import type { Service as Settings } from "./Settings.js"
import * as Tries from "./Tries.js"

/** It ends with this. */
export interface Failed {
  readonly _tag: "Failed"
  readonly error: Failure
}

/** What follows from a failure after so many tries. */
export const outcomeOf = (
  error: Core.CampaignError,
  tries: number,
  settings: Pick<Settings, "folder">
): Tries.Again | Failed => {
  // The lock of a process that has lost this work, and does not know it yet.
  if (error._tag === "StorageError" && error.reason === "Exists" && tries + 1 < Tries.most) {
    return { _tag: "Again", seconds: 3, counts: true }
  }
  // A status that was answered before the one that said that it was completed.
  if (error._tag === "BatchNotCompleted" && tries + 1 < Tries.most) {
    return { _tag: "Again", seconds: 5, counts: true }
  }
  return Option.getOrElse(Tries.of(error, tries), (): Failed => {
    const message = maskText(error.message).replaceAll(`${CampaignFolder.root(settings)}/`, "")
    return { _tag: "Failed", error: { type: error._tag, message } }
  })
}
