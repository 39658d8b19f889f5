/**
 * One identifier of a list: whether it can be one, how it is sent, and when two are the same.
 *
 * @example
 * import { Either } from "effect"
 * import * as Identifier from "./Identifier.js"
 *
 * Either.map(Identifier.read("domain", " Acme.com "), ({ sent }) => sent) // "Acme.com"
 * Identifier.read("email", "nobody") // why it is none
 */
import { Either } from "effect"
import type { IdentifierType } from "../model/JobKind.js"

/** An identifier that may be sent. */
export interface Identifier {
  /** As it is sent: without the spaces around it; ids as numbers. */
  readonly sent: string | number
  /** Equal for those that mean the same: letters of hosts and addresses in lower case, no slash at the end. */
  readonly key: string
}

/** An identifier, or why the text is none. */
export const read = (type: IdentifierType, text: string): Either.Either<Identifier, string> => {
  const trimmed = text.trim()
  if (trimmed === "") return Either.left("it is empty")
  if (/\p{Cc}/u.test(trimmed)) return Either.left("it has control characters in it")
  return trimmed.includes("\uFFFD")
    ? Either.left("it has characters that could not be read: the list must be in UTF-8")
    : readers[type](trimmed)
}

/** The key under which an identifier that came back is looked up. */
export const keyOf = (type: IdentifierType, text: string): string =>
  Either.match(read(type, text), { onLeft: () => text.trim().toLowerCase(), onRight: ({ key }) => key })

const label = /^[\p{L}\p{M}\p{N}_](?:[\p{L}\p{M}\p{N}_-]{0,61}[\p{L}\p{M}\p{N}_])?$/u

const isHost = (host: string): boolean => {
  const labels = host.replace(/\.$/u, "").split(".")
  return (
    host.length <= 254 &&
    labels.length > 1 &&
    labels.every((one) => label.test(one)) &&
    !/^\d+$/u.test(labels.at(-1) ?? "")
  )
}

const domain = (text: string): Either.Either<Identifier, string> => {
  if (/^[a-z][a-z0-9+.-]*:\/\//iu.test(text))
    return Either.left("it is a URL, and a domain is wanted: acme.com")
  if (text.includes("@")) return Either.left("it is an email address, and a domain is wanted: acme.com")
  return isHost(text)
    ? Either.right({ sent: text, key: text.normalize().toLowerCase().replace(/\.$/u, "") })
    : Either.left("it is no domain")
}

const email = (text: string): Either.Either<Identifier, string> => {
  const at = text.lastIndexOf("@")
  const isAddress = at > 0 && at <= 64 && !/[\s<>,;"]/u.test(text) && isHost(text.slice(at + 1))
  return isAddress
    ? Either.right({ sent: text, key: text.normalize().toLowerCase() })
    : Either.left("it is no email address")
}

const id = (text: string): Either.Either<Identifier, string> => {
  const value = /^\d+$/u.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) && value > 0
    ? Either.right({ sent: value, key: String(value) })
    : Either.left("it is no whole number above 0")
}

const url = (text: string): Either.Either<Identifier, string> => {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//iu.test(text) ? text : `https://${text}`
  if (/\s/u.test(text) || !URL.canParse(whole)) return Either.left("it is no URL")
  const { host, hostname, pathname, protocol, search } = new URL(whole)
  if (protocol !== "https:" && protocol !== "http:") return Either.left("it is no URL of the web")
  return isHost(hostname)
    ? Either.right({ sent: text, key: `${host.toLowerCase()}${pathname.replace(/\/+$/u, "")}${search}` })
    : Either.left("it is no URL with a host")
}

const text = (words: string): Either.Either<Identifier, string> =>
  Either.right({ sent: words, key: words.normalize().replace(/\s+/gu, " ") })

const readers: Readonly<Record<IdentifierType, (text: string) => Either.Either<Identifier, string>>> = {
  domain,
  email,
  id,
  text,
  url
}
