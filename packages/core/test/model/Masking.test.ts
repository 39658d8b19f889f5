import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc, Redacted, Schema } from "effect"
import { link } from "../Arbitraries.js"
import * as Masking from "../../src/model/Masking.js"

describe("maskUrl", () => {
  it.each([
    [
      "https://bucket.test/a/part-000.jsonl.gz?X-Amz-Signature=abc",
      "https://bucket.test/a/part-000.jsonl.gz?***"
    ],
    ["https://bucket.test/a?b=1?c=2#d", "https://bucket.test/a?***"],
    ["https://bucket.test/a#token", "https://bucket.test/a?***"],
    ["https://user:pass@bucket.test:8443/a", "https://***@bucket.test:8443/a"],
    ["https://user:p@ss@bucket.test/a@b", "https://***@bucket.test/a@b"],
    ["https://bucket.test/a?x=\n1", "https://bucket.test/a?***"],
    ["/bucket/key?Signature=abc", "/bucket/key?***"],
    ["https://bucket.test/a", "https://bucket.test/a"]
  ])("shows %s as %s", (url, shown) => {
    expect(Masking.maskUrl(url)).toBe(shown)
  })

  it.prop("leaves nothing of the query, and all of host and path", [link], ([{ address, secret, url }]) => {
    expect(Masking.maskUrl(url)).toBe(`${address}?***`)
    expect(Masking.maskUrl(url)).not.toContain(secret)
  })
})

describe("maskText", () => {
  it.prop(
    "lets no query string survive, wherever the link stands",
    [fc.string(), link, fc.string()],
    (parts) => {
      const [before, { address, secret, url }, after] = parts
      const text = Masking.maskText(`${before} ${url} ${after}`)
      expect(text).not.toContain(secret)
      expect(text).toContain(address)
    }
  )

  it.each([
    [
      "escaped slashes and a query without a signature",
      String.raw`{"url":"https:\/\/bucket.test\/a?token=5ec2e7"}`
    ],
    ["escaped slashes", String.raw`{"error":"https:\/\/bucket.test\/a?X-Amz-Date=1&X-Amz-Signature=5ec2e7"}`],
    ["a path without a host", "GET /bucket/key?X-Amz-Credential=5ec2e7&X-Amz-Signature=5ec2e7 failed"],
    [
      "a link inside a link",
      "https://proxy.test/?to=https%3A%2F%2Fbucket.test%2Fa%3FX-Amz-Signature%3D5ec2e7"
    ],
    ["an encoded link", "to=https%3A%2F%2Fbucket.test%2Fa%3FX-Amz-Signature%3D5ec2e7"],
    ["XML", "<Uri>/bucket/key?Expires=1&amp;Signature=5ec2e7&amp;AWSAccessKeyId=5ec2e7</Uri>"],
    ["a security token", "x-amz-security-token=5ec2e7"]
  ])("masks a signature in %s", (_, text) => {
    expect(Masking.maskText(text)).not.toContain("5ec2e7")
  })

  it.each(["", "a signature is missing", "https://bucket.test/a/b.jsonl.gz", "Is it there? Yes = 1"])(
    "leaves %j alone",
    (text) => {
      expect(Masking.maskText(text)).toBe(text)
    }
  )
})

describe("maskJson", () => {
  it.prop("lets no query string survive, at any depth", [fc.jsonValue(), link], ([json, { secret, url }]) => {
    const masked = JSON.stringify(Masking.maskJson({ deep: [json, { url, list: [`see ${url}`, [url]] }] }))
    expect(masked).not.toContain(secret)
  })

  it.prop("masks a link whatever its query is made of", [fc.string({ minLength: 1 })], ([query]) => {
    expect(Masking.maskJson({ url: `https://bucket.test/a?${query}5ec2e7` })).toEqual({
      url: "https://bucket.test/a?***"
    })
  })

  it.prop("changes nothing else", [fc.jsonValue({ noUnicodeString: false })], ([json]) => {
    fc.pre(!/[?=]|https?:/iu.test(JSON.stringify(json)))
    expect(Masking.maskJson(json)).toEqual(json)
  })
})

describe("scrub", () => {
  it.prop(
    "removes every occurrence and nothing else",
    [fc.stringMatching(/^[0-9a-f$]{1,9}$/u), fc.array(fc.stringMatching(/^[X-Z ]{0,5}$/u))],
    ([secret, parts]) => {
      expect(Masking.scrub(parts.join(secret), Redacted.make(secret))).toBe(parts.join("***"))
    }
  )

  it("has nothing to remove when the secret is empty", () => {
    expect(Masking.scrub("abc", Redacted.make(""))).toBe("abc")
  })
})

describe("SecretUrl", () => {
  const decode = Schema.decodeUnknownEither(Masking.SecretUrl)

  it.prop("keeps a link byte for byte and shows it nowhere", [link], ([{ address, secret, url }]) => {
    const value = Either.getOrThrow(decode(url))
    expect(Redacted.value(value)).toBe(url)
    expect(String(value) + JSON.stringify(value)).not.toContain(secret)
    expect(Schema.encodeSync(Masking.SecretUrl)(value)).toBe(`${address}?***`)
  })

  it("does not repeat what it refuses", () => {
    const refused = decode("no url?X-Amz-Signature=5ec2e7")
    expect(Either.isLeft(refused)).toBe(true)
    expect(String(refused)).not.toContain("5ec2e7")
  })
})

describe("SecretJson", () => {
  it.prop("keeps the answer as it came and encodes it masked", [link], ([{ address, secret, url }]) => {
    const json = { batch_id: "x", download_url: url, odd: [1, null, { url }] }
    const value = Schema.decodeSync(Masking.SecretJson)(json)
    expect(Redacted.value(value)).toEqual(json)
    expect(String(value) + JSON.stringify(value)).not.toContain(secret)
    const masked = `${address}?***`
    expect(Schema.encodeSync(Masking.SecretJson)(value)).toEqual({
      batch_id: "x",
      download_url: masked,
      odd: [1, null, { url: masked }]
    })
  })
})
