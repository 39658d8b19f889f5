import { Headers } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib"
import * as ResponseText from "../../src/status/ResponseText.js"

const text = JSON.stringify({ status: "completed", words: "ä".repeat(50) })

const decode = (bytes: Uint8Array, encoding?: string) =>
  ResponseText.decode(
    bytes,
    Headers.fromInput(encoding === undefined ? {} : { "content-encoding": encoding }),
    10_000
  )

describe("decode", () => {
  it.each([
    ["gzip", gzipSync(text)],
    [undefined, gzipSync(text)],
    ["deflate", deflateSync(text)],
    ["deflate", deflateRawSync(text)],
    ["br", brotliCompressSync(text)],
    ["gzip", Buffer.from(text)],
    [undefined, Buffer.from(`\uFEFF${text}`)]
  ] as const)("reads what came as %s", (encoding, bytes) => {
    expect(decode(bytes, encoding)).toBe(text)
  })

  it("leaves what cannot be inflated, or grows too large, as it is", () => {
    expect(decode(Buffer.from("nothing"), "br")).toBe("nothing")
    expect(decode(gzipSync("a".repeat(20_000)))).not.toContain("aaaa")
  })
})
