/**
 * Where campaigns have their folders: input, plan, results of jobs, and what came of it. All processes that take campaigns
 * in, carry them out or show their results must see the same one.
 */
import * as Campaign from "@org/batch-core/Campaign"
import type { Format } from "@org/batch-core/Format"
import { Effect } from "effect"
import { access } from "node:fs/promises"
import { campaigns } from "./Destination.js"
import type { Service as Settings } from "./Settings.js"

/** The folder of all campaigns. */
export const root = ({ folder }: Pick<Settings, "folder">): string => `${folder}/${campaigns}`

/** The folder of a campaign. */
export const of = (settings: Pick<Settings, "folder">, id: string): string => `${root(settings)}/${id}`

/** The name of the joined result in the folder of a campaign. */
export const outputOf = (format: Format): string => `result.${format}`

/** Where everything that comes of a campaign lies. */
export const filesOf = (settings: Pick<Settings, "folder">, id: string, format: Format) =>
  Campaign.pathsOf(`${of(settings, id)}/${outputOf(format)}`)

/** Whether this process sees the folder of a campaign. */
export const isVisible = (settings: Pick<Settings, "folder">, id: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    access(`${of(settings, id)}/${Campaign.inputName}`).then(
      () => true,
      () => false
    )
  )
