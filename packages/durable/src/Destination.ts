/**
 * Which destinations are allowed, before anything is stored or fetched: folders keep below the root, endpoints are on
 * addresses that the settings allow.
 */
import { Effect, Option } from "effect"
import * as Reach from "./Reach.js"
import type { Destination } from "./Retrieval.js"
import { RetrievalInvalid } from "./RetrievalError.js"
import type { Service as Settings } from "./Settings.js"

/** The folder below the root in which downloads lie until they are whole. */
export const staging = ".retrievals"

/** The folder below the root in which campaigns have theirs. */
export const campaigns = ".campaigns"

const invalid = (field: string, detail: string): RetrievalInvalid => new RetrievalInvalid({ field, detail })

/** Fails with the field that is wrong, and why. */
export const check = (
  destination: Destination,
  settings: Pick<Settings, "reach">
): Effect.Effect<void, RetrievalInvalid> =>
  destination.type === "folder"
    ? Option.match(wrongPath(destination.path ?? ""), {
        onNone: () => Effect.void,
        onSome: (detail) => invalid("destination.path", detail)
      })
    : Effect.gen(function* () {
        const { bucket, endpoint, key, region } = destination
        if (!/^[A-Za-z0-9][\w.-]{1,253}[A-Za-z0-9]$/u.test(bucket)) {
          return yield* invalid("destination.bucket", "it is no name of a bucket")
        }
        if (Buffer.byteLength(key) > 1024 || hasControls(key)) {
          return yield* invalid(
            "destination.key",
            "it must have at most 1024 bytes, and no control characters"
          )
        }
        if (region !== undefined && !/^[\w-]{1,64}$/u.test(region)) {
          return yield* invalid("destination.region", "it is no name of a region")
        }
        if (endpoint === undefined) return
        const refusal = yield* Reach.refusal(settings.reach, endpoint)
        if (Option.isSome(refusal)) return yield* invalid("destination.endpoint", refusal.value)
        if (/[?#]/u.test(endpoint)) {
          return yield* invalid("destination.endpoint", "it must have no query and no fragment")
        }
      })

const hasControls = (text: string): boolean => /\p{Cc}/u.test(text)

const wrongPath = (path: string): Option.Option<string> => {
  const parts = path.split("/")
  if (hasControls(path) || path.includes("\\")) {
    return Option.some("it must have no control characters and no backslashes")
  }
  if (path.startsWith("/") || /^[a-z]:/iu.test(path)) {
    return Option.some("it must be relative to the service's folder")
  }
  if (parts.includes("..")) return Option.some("it leaves the service's folder")
  if (parts[0] === staging || parts[0] === campaigns) return Option.some(`${parts[0]} is the service's own`)
  if (parts.some((part) => Buffer.byteLength(part) > 200) || Buffer.byteLength(path) > 1024) {
    return Option.some("it is too long: a name may have 200 bytes, all together 1024")
  }
  return Option.none()
}
