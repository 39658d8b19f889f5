import { Either, Redacted } from "effect"
import { describe, expect, it } from "vitest"
import * as Signature from "../src/Signature.js"

describe("Signature", () => {
  it("signs as the example of Standard Webhooks' libraries", () => {
    const secret = Either.getOrThrow(Signature.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    const message = {
      id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
      timestamp: 1_614_265_330,
      body: '{"test": 2432232314}'
    }
    expect(Signature.headers(secret, message)).toEqual({
      "webhook-id": message.id,
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    })
  })

  it("takes whsec_ and the base64 of 24 to 64 bytes only", () => {
    const bytes = (count: number) => `whsec_${Buffer.alloc(count, 7).toString("base64")}`
    for (const text of ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", bytes(23), bytes(65), "whsec_ä"]) {
      expect(Either.isLeft(Signature.parse(text))).toBe(true)
    }
    for (const count of [24, 32, 64]) {
      expect(Either.map(Signature.parse(bytes(count)), (read) => Redacted.value(read).length)).toEqual(
        Either.right(count)
      )
    }
  })
})
