/**
 * Public and other IP addresses. A link from a third party must not lead to this machine or to the networks behind it.
 *
 * @example
 * import { Address } from "@org/batch-node"
 *
 * Address.isPublic("93.184.216.34") // true
 * Address.isPublic("::ffff:10.0.0.1") // false
 */
import { Effect, Option } from "effect"
import { lookup } from "node:dns"
import { BlockList, isIP, type LookupFunction } from "node:net"

const inner = new BlockList()
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3]
] as const)
  inner.addSubnet(network, prefix, "ipv4")
for (const [network, prefix] of [
  ["::", 127],
  ["fc00::", 7],
  ["fe80::", 9],
  ["ff00::", 8]
] as const)
  inner.addSubnet(network, prefix, "ipv6")

/** IPv6 networks that embed an IPv4 address: mapped, compatible, translated (NAT64, 6to4). */
const embedding = new BlockList()
for (const [network, prefix] of [
  ["::", 96],
  ["::ffff:0:0", 96],
  ["::ffff:0:0:0", 96],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["2002::", 16]
] as const)
  embedding.addSubnet(network, prefix, "ipv6")

/**
 * Whether an IP address is neither loopback, private, link-local, shared, multicast nor reserved. Whatever embeds an
 * IPv4 address in an IPv6 one counts as not public: no storage host is reached that way.
 */
export const isPublic = (address: string): boolean => {
  const plain = address.replace(/^\[|\]$|%.*$/gu, "")
  const family = isIP(plain)
  if (family === 4) return !inner.check(plain, "ipv4")
  return family === 6 && !inner.check(plain, "ipv6") && !embedding.check(plain, "ipv6")
}

/** A DNS lookup for sockets that leaves out addresses that are not public, except for one host. */
export const lookupPublic =
  (except: string): LookupFunction =>
  (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, [])
      const addresses = hostname === except ? found : found.filter(({ address }) => isPublic(address))
      const [first] = addresses
      if (first === undefined) return callback(refusal(hostname), [])
      if (options.all === true) return callback(null, addresses)
      callback(null, first.address, first.family)
    })
  }

/** Whether all addresses of a host are public; `None` if it cannot be looked up. */
export const isPublicHost = (hostname: string): Effect.Effect<Option.Option<boolean>> =>
  Effect.async((resume) =>
    lookup(hostname.replace(/^\[|\]$/gu, ""), { all: true }, (error, found) =>
      resume(
        error === null
          ? Effect.succeedSome(found.every(({ address }) => isPublic(address)))
          : Effect.succeedNone
      )
    )
  )

/** The error of a connection that is refused because its host is not public. Core does not retry it. */
export const refusal = (hostname: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${hostname} is not a public address`), { code: "EPRIVATE" })
