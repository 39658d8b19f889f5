/**
 * The hosts that this machine may be sent to by a caller: public addresses, and those that the settings name. Names are
 * checked when a connection looks them up, so that no answer of a name server leads elsewhere in between.
 *
 * @example
 * import { Reach } from "@org/batch-durable"
 * import { Either } from "effect"
 *
 * const reach = Reach.parse("hooks.example.internal, 10.1.0.0/16")
 * const isAllowed = Either.map(reach, (allowed) => allowed.allows("10.1.2.3")) // true
 */
import { Address } from "@org/batch-node"
import { Effect, Either, Option } from "effect"
import { lookup } from "node:dns"
import { BlockList, isIP, type LookupFunction } from "node:net"

/** The hosts that may be connected to. */
export interface Reach {
  /** Whether a host that is an IP address is allowed, or a name that the settings allow. */
  readonly allows: (host: string) => boolean
  /** Looks names up, without the addresses that are not allowed. */
  readonly lookup: LookupFunction
}

const bare = (host: string): string => host.replace(/^\[|\]$/gu, "").toLowerCase()

/** Public addresses only. */
export const publicOnly: Reach = {
  allows: (host) => Address.isPublic(host),
  lookup: Address.lookupPublic("")
}

/** Every address, as for a service whose API is on a private one itself. */
export const anywhere: Reach = {
  allows: () => true,
  lookup: (hostname, options, callback) => lookup(hostname, options, callback)
}

/** Public addresses, and those that a list names: hosts, addresses and networks (CIDR), separated by commas. */
export const parse = (list: string): Either.Either<Reach, string> => {
  const networks = new BlockList()
  const names = new Set<string>()
  for (const entry of list
    .split(",")
    .map((text) => text.trim())
    .filter((text) => text !== "")) {
    const [address = "", prefix] = entry.split("/")
    const family = isIP(bare(address))
    const bits = Number(prefix ?? (family === 4 ? 32 : 128))
    const isPrefix = Number.isInteger(bits) && bits >= 0 && bits <= (family === 4 ? 32 : 128)
    if (family !== 0 && isPrefix && (prefix === undefined || /^\d+$/u.test(prefix))) {
      networks.addSubnet(bare(address), bits, family === 4 ? "ipv4" : "ipv6")
    } else if (prefix === undefined && /^[\w.-]+$/u.test(address) && !/^[\d.]+$/u.test(address)) {
      names.add(address.toLowerCase())
    } else
      return Either.left(`${JSON.stringify(entry)} is no host, no address and no network such as 10.0.0.0/8`)
  }
  const isNamed = (address: string) =>
    isIP(address) !== 0 && networks.check(address, isIP(address) === 4 ? "ipv4" : "ipv6")
  const reaches = (address: string) => Address.isPublic(address) || isNamed(address)
  return Either.right({
    allows: (host) => names.has(bare(host)) || reaches(bare(host)),
    lookup: (hostname, options, callback) => {
      if (names.has(bare(hostname))) return lookup(hostname, options, callback)
      lookup(hostname, { ...options, all: true }, (error, found) => {
        if (error !== null) return callback(error, [])
        const addresses = found.filter(({ address }) => reaches(address))
        const [first] = addresses
        if (first === undefined) return callback(Address.refusal(hostname), [])
        if (options.all === true) return callback(null, addresses)
        callback(null, first.address, first.family)
      })
    }
  })
}

/**
 * Why a URL of a caller may not be connected to; none if it may, or if its name cannot be looked up now, which is seen when
 * it is used.
 */
export const refusal = (reach: Reach, text: string): Effect.Effect<Option.Option<string>> =>
  Effect.gen(function* () {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url === undefined || !/^https?:$/u.test(url.protocol)) {
      return Option.some("it must be an http or https URL")
    }
    if (`${url.username}${url.password}` !== "")
      return Option.some("it must not contain a user or a password")
    const host = bare(url.hostname)
    const no = Option.some(
      `${host} is not on a public address: the service can allow it with BATCH_SERVER_ALLOW`
    )
    if (reach.allows(host)) return Option.none()
    if (isIP(host) !== 0) return no
    return yield* Effect.async<Option.Option<string>>((resume) =>
      reach.lookup(host, {}, (error) =>
        resume(Effect.succeed(error !== null && error.code === "EPRIVATE" ? no : Option.none()))
      )
    )
  })
