/** Arguments of calls of the service, which are refused before anything is asked. */
import { InvalidArgument } from "../BatchError.js"

const uuid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/iu

const refused = (argument: string, detail: string): InvalidArgument =>
  new InvalidArgument({ argument, detail, message: `${argument}: ${detail}` })

/** Throws unless it is a UUID. */
export const checkId = (argument: string, id: string): void => {
  if (!uuid.test(id)) throw refused(argument, `${JSON.stringify(id)} is no id: an id is a UUID`)
}

/** Throws unless it is a whole number from 1, or infinite. */
export const checkLimit = (limit: number): void => {
  if (limit !== Infinity && !(Number.isInteger(limit) && limit > 0)) {
    throw refused("limit", `${String(limit)} is no whole number of at least 1`)
  }
}
