/**
 * The proxies that the environment names, and the hosts that are reached without one. An unusable setting is a value
 * that names its variable; no password gets into it.
 *
 * @example
 * import * as Proxies from "./Proxies.js"
 *
 * const { of } = Proxies.read({ HTTPS_PROXY: "proxy.corp:3128", NO_PROXY: ".corp,10.0.0.0/8" })
 * of(new URL("https://api.crustdata.com/")) // Either.right(Option.some({ name: "proxy.corp:3128", … }))
 * of(new URL("https://10.1.2.3/")) // Either.right(Option.none())
 */
import { Data, Either, Option, Redacted } from "effect"
import { BlockList, isIP } from "node:net"

/** The environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or not. */
export type Variables = Readonly<Record<string, string | undefined>>

/** A proxy that speaks HTTP, over TLS or not. */
export interface Proxy {
  readonly protocol: "http:" | "https:"
  /** Without the brackets of an IPv6 address. */
  readonly host: string
  readonly port: number
  /** `host:port`, for messages. */
  readonly name: string
  /** The value of `Proxy-Authorization`, if there is a user in its URL. */
  readonly authorization: Option.Option<Redacted.Redacted>
}

/** A proxy setting that cannot be used, and the way out. */
export class ProxySettingError extends Data.TaggedError("ProxySettingError")<{
  /** The variable. */
  readonly setting: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.setting}: ${this.detail}`
  }
}

/** The proxy settings of an environment. */
export interface Proxies {
  /** The proxy for a URL; none if it is reached directly. */
  readonly of: (url: URL) => Either.Either<Option.Option<Proxy>, ProxySettingError>
}

const proxyVariables = ["https_proxy", "http_proxy", "all_proxy"]

/** The names of the proxy variables that are set. */
export const namesSet = (variables: Variables): ReadonlyArray<string> =>
  Object.entries(variables).flatMap(([name, value]) =>
    value && proxyVariables.includes(name.toLowerCase()) ? [name] : []
  )

/** Reads the settings of an environment. */
export const read = (variables: Variables): Proxies => {
  const excepts = exceptions(find(variables, "no_proxy").value)
  const settings = new Map(
    ["http:", "https:"].map((protocol) => {
      const own = find(variables, `${protocol.slice(0, -1)}_proxy`)
      return [protocol, parse(own.value === "" ? find(variables, "all_proxy") : own)]
    })
  )
  return {
    of: (url) => {
      const found = settings.get(url.protocol)
      return found === undefined || excepts(url) ? Either.right(Option.none()) : found
    }
  }
}

interface Setting {
  readonly name: string
  readonly value: string
}

/** A variable by its name in small letters, in which it comes before the one in capitals, as for `curl`. */
const find = (variables: Variables, name: string): Setting =>
  [name, name.toUpperCase()]
    .map((one) => ({ name: one, value: (variables[one] ?? "").trim() }))
    .find(({ value }) => value !== "") ?? { name, value: "" }

const parse = ({ name, value }: Setting): Either.Either<Option.Option<Proxy>, ProxySettingError> => {
  if (value === "") return Either.right(Option.none())
  const refuse = (detail: string) => Either.left(new ProxySettingError({ setting: name, detail }))
  const [, scheme = "http"] = /^([a-z][a-z0-9+.-]*):\/\//iu.exec(value) ?? []
  if (!/^https?$/iu.test(scheme)) {
    return refuse(
      `${scheme}:// proxies cannot be used, only http:// and https:// ones: name such a proxy (http://proxy.corp:3128), or name in NO_PROXY the hosts that are reached directly`
    )
  }
  const text = value.includes("://") ? value : `http://${value}`
  if (!URL.canParse(text)) {
    return refuse(
      "it is no address of a proxy: write it as http://host:port, with special characters of user and password percent-encoded"
    )
  }
  const { hostname, password, port, protocol, username } = new URL(text)
  const secure = protocol === "https:"
  const number = port === "" ? (secure ? 443 : 80) : Number(port)
  return Either.right(
    Option.some({
      protocol: secure ? "https:" : "http:",
      host: bare(hostname),
      port: number,
      name: `${hostname}:${number}`,
      authorization:
        username === "" && password === ""
          ? Option.none()
          : Option.some(Redacted.make(`Basic ${base64(`${decoded(username)}:${decoded(password)}`)}`))
    })
  )
}

const base64 = (text: string): string => Buffer.from(text).toString("base64")

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const bare = (hostname: string): string => hostname.replace(/^\[|\]$/gu, "")

/** Whether `NO_PROXY` excepts the host of a URL. */
const exceptions = (list: string): ((url: URL) => boolean) => {
  const all = list
    .toLowerCase()
    .split(/[,\s]+/u)
    .filter((entry) => entry !== "")
    .map(exception)
  return (url) => {
    const port = Number(url.port || (url.protocol === "https:" ? 443 : 80))
    return all.some((matches) => matches(url.hostname, port))
  }
}

type Exception = (hostname: string, port: number) => boolean

/** One entry: a name, a suffix (`.corp`, `*.corp`, `*`), an address, a network (`10.0.0.0/8`); each but the last with a port. */
const exception = (entry: string): Exception => {
  const [, network = "", prefix] = /^\[?([\da-f.:]+)\]?\/(\d{1,3})$/u.exec(entry) ?? []
  if (prefix !== undefined) return inNetwork(network, Number(prefix))
  const [, host = entry, port] = isIP(entry) === 6 ? [] : (/^(.+):(\d+)$/u.exec(entry) ?? [])
  const matches = hostException(host)
  return (hostname, actual) => (port === undefined || Number(port) === actual) && matches(hostname, actual)
}

const hostException = (host: string): Exception => {
  const family = isIP(bare(host))
  if (family !== 0) return inNetwork(bare(host), family === 4 ? 32 : 128)
  if (!/^[.*]/u.test(host)) return (hostname) => hostname === host
  const suffix = host.replace(/^\*/u, "")
  return (hostname) => hostname.endsWith(suffix)
}

const inNetwork = (network: string, prefix: number): Exception => {
  const family = isIP(network)
  if (family === 0 || prefix > (family === 4 ? 32 : 128)) return () => false
  const addresses = new BlockList()
  addresses.addSubnet(network, prefix, nameOf(family))
  return (hostname) => {
    const found = isIP(bare(hostname))
    return found !== 0 && addresses.check(bare(hostname), nameOf(found))
  }
}

const nameOf = (family: number): "ipv4" | "ipv6" => (family === 4 ? "ipv4" : "ipv6")
