import { describe, expect, it } from "@effect/vitest"
import { Either, Option, Redacted } from "effect"
import * as Proxies from "../src/Proxies.js"

const found = (variables: Proxies.Variables, url = "https://api.test/") =>
  Either.map(Proxies.read(variables).of(new URL(url)), Option.getOrUndefined)

const nameOf = (variables: Proxies.Variables, url?: string) =>
  Either.getOrThrow(Either.map(found(variables, url), (proxy) => proxy?.name))

describe("a proxy", () => {
  it.each([
    ["proxy.corp:3128", { protocol: "http:", host: "proxy.corp", port: 3128, name: "proxy.corp:3128" }],
    ["proxy.corp", { protocol: "http:", port: 80, name: "proxy.corp:80" }],
    ["localhost:3128", { protocol: "http:", host: "localhost", port: 3128 }],
    ["127.0.0.1:3128", { protocol: "http:", host: "127.0.0.1", port: 3128 }],
    ["HTTP://Proxy.Corp:3128/", { protocol: "http:", host: "proxy.corp", name: "proxy.corp:3128" }],
    ["https://proxy.corp", { protocol: "https:", port: 443, name: "proxy.corp:443" }],
    ["http://[::1]:3128", { host: "::1", name: "[::1]:3128" }],
    [" http://proxy.corp:3128 ", { name: "proxy.corp:3128" }]
  ])("%s is %o", (value, proxy) =>
    expect(found({ HTTPS_PROXY: value })).toEqual(Either.right(expect.objectContaining(proxy)))
  )

  it.each([
    ["http://me:hunter2@proxy.corp:1", "me:hunter2"],
    ["me:p%40ss@proxy.corp:1", "me:p@ss"],
    ["http://me@proxy.corp:1", "me:"],
    ["http://me:100%@proxy.corp:1", "me:100%"]
  ])("%s knows its user as %s", (value, user) => {
    const { authorization, name } = Either.getOrThrow(found({ HTTPS_PROXY: value })) ?? {}
    expect(name).toBe("proxy.corp:1")
    expect(Option.map(authorization ?? Option.none(), Redacted.value)).toEqual(
      Option.some(`Basic ${Buffer.from(user).toString("base64")}`)
    )
  })

  it.each([
    [{ HTTPS_PROXY: "a:1", HTTP_PROXY: "b:1", ALL_PROXY: "c:1" }, "a:1", "b:1"],
    [{ https_proxy: "a:1", HTTPS_PROXY: "b:1", all_proxy: "c:1" }, "a:1", "c:1"],
    [{ https_proxy: "", HTTPS_PROXY: "b:1" }, "b:1", undefined],
    [{ http_proxy: "b:1" }, undefined, "b:1"],
    [{}, undefined, undefined]
  ])("of %o is %s for https and %s for http", (variables, secure, plain) => {
    expect(nameOf(variables)).toBe(secure)
    expect(nameOf(variables, "http://api.test/")).toBe(plain)
  })

  it.each([
    ["socks5://me:hunter2@127.0.0.1:1080", "socks5:// proxies cannot be used"],
    ["socks://p:1", "socks:// proxies cannot be used"],
    ["ftp://p", "ftp:// proxies cannot be used"],
    ["http://me:hunter2#x@p:1", "it is no address of a proxy"],
    ["http://p:99999", "it is no address of a proxy"],
    ["http://", "it is no address of a proxy"],
    ["me:hunter2@:1", "it is no address of a proxy"]
  ])("%s is refused, naming the variable and no secret", (value, detail) => {
    const problem = Either.getOrThrow(Either.flip(found({ all_proxy: value })))
    expect(problem).toMatchObject({
      _tag: "ProxySettingError",
      setting: "all_proxy",
      detail: expect.stringContaining(detail)
    })
    expect(problem.message).toContain("all_proxy: ")
    expect(problem.message).not.toContain("hunter2")
  })

  it("that is not for a URL spoils nothing", () => {
    const variables = { HTTP_PROXY: "socks5://p:1", HTTPS_PROXY: "p:1", NO_PROXY: "local.test" }
    expect(nameOf(variables)).toBe("p:1")
    expect(nameOf(variables, "http://local.test/")).toBeUndefined()
    expect(Either.isLeft(found(variables, "http://api.test/"))).toBe(true)
    expect(nameOf({ ALL_PROXY: "socks5://p:1", HTTPS_PROXY: "p:1" })).toBe("p:1")
  })
})

describe("NO_PROXY", () => {
  it.each([
    ["10.0.0.0/8", "https://10.255.0.1/"],
    ["10.0.0.0/8", "https://[::ffff:10.1.2.3]/"],
    ["10.20.30.40/32", "https://10.20.30.40:8443/"],
    ["0.0.0.0/0", "https://8.8.8.8/"],
    ["fd00::/8", "https://[fdff:1::2]/"],
    ["[fd00::]/8", "https://[fd00::1]/"],
    ["a, 192.168.0.0/16 b", "https://192.168.1.1/"],
    ["127.0.0.1", "https://127.0.0.1/"],
    ["::1", "https://[::1]/"],
    ["[::1]", "https://[0:0::1]/"],
    ["[::1]:443", "https://[::1]/"],
    ["api.test", "https://API.test/"],
    ["api.test:443", "https://api.test/"],
    ["api.test:8443", "https://api.test:8443/"],
    [".test", "https://api.test/"],
    ["*.test", "https://api.test/"],
    ["*", "https://api.test/"],
    ["*", "https://[::1]/"]
  ])("%s excepts %s", (list, url) => {
    expect(nameOf({ ALL_PROXY: "p:1", NO_PROXY: list }, url)).toBeUndefined()
    expect(nameOf({ ALL_PROXY: "p:1", no_proxy: list }, url)).toBeUndefined()
  })

  it.each([
    ["10.0.0.0/8", "https://11.0.0.1/"],
    ["10.0.0.0/8", "https://ten.test/"],
    ["10.0.0.0/8", "https://[fd00::1]/"],
    ["0.0.0.0/0", "https://[fd00::1]/"],
    ["fd00::/8", "https://[fe00::1]/"],
    ["fd00::/8", "https://10.0.0.1/"],
    ["10.0.0.0/33", "https://10.0.0.1/"],
    ["10.0.0/8", "https://10.0.0.1/"],
    ["::1:80", "https://[::1]:80/"],
    ["[::1]:80", "https://[::1]/"],
    ["api.test:8443", "https://api.test/"],
    ["api.test", "https://my.api.test/"],
    ["", "https://api.test/"]
  ])("%s does not except %s", (list, url) =>
    expect(nameOf({ ALL_PROXY: "p:1", NO_PROXY: list }, url)).toBe("p:1")
  )
})
