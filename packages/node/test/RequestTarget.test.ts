import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as RequestTarget from "../src/RequestTarget.js"

describe("the target of a request", () => {
  it.each([
    "/b/it's.gz?sig='1'",
    "/b/a+b%2Bc%2bd%7Euser%41~.gz",
    "/b//double///slash//",
    "/b/./a/../c/%2e%2E/.",
    '/b/(1)!*\'~|^`{}<>"[]\\.gz?f={a}[b]|c^d`"<>\\',
    "/?",
    "/?a=&b&=c&&X-Amz-Signature=a+b/==;?/",
    "/b/a;v=1,2=3@4:5&6.gz",
    "/%zz%"
  ])("%s is as it stands in the link", (target) => {
    for (const authority of ["host.test", "host.test:8080", "user:p@ss@[::1]:80", "HOST"]) {
      expect(RequestTarget.of(`https://${authority}${target}`)).toBe(target)
      expect(RequestTarget.of(`HTTP://${authority}${target}#fragment?#`)).toBe(target)
    }
  })

  it.each([
    ["http://h", "/"],
    ["http://h?a=1", "/?a=1"],
    ["http://h#x", "/"],
    [" http://h/a b\u00a0c.gz ", "/a%20b%C2%A0c.gz"],
    ["http://h/a\r\nHost: evil\r\n\r\nb\tc\u0000\u007f\u0000", "/aHost:%20evilbc%00%7F"],
    ["http://h/a #b", "/a%20"],
    ["http://h/名.gz?é=\u{1f680}\ud800", "/%E5%90%8D.gz?%C3%A9=%F0%9F%9A%80%EF%BF%BD"],
    [String.raw`http://h\a\b`, String.raw`/a\b`]
  ])("%j has %s: what a request line cannot carry is encoded", (url, target) =>
    expect(RequestTarget.of(url)).toBe(target)
  )

  it.prop(
    "of any URL is one that Node sends, and leads where the URL leads",
    [fc.webUrl({ withQueryParameters: true }), fc.string({ unit: "binary", maxLength: 20 })],
    ([url, rest]) => {
      const link = `${url}/${rest}`
      const target = RequestTarget.of(link)
      expect(target).toMatch(/^\/[\u0021-\u007e]*$/u)
      expect(target).not.toContain("#")
      const { pathname, search } = new URL(link)
      const again = new URL(`http://host.test${target}`)
      expect(`${again.pathname}${again.search}`).toBe(`${pathname}${search}`)
    },
    { fastCheck: { numRuns: 2000 } }
  )
})
