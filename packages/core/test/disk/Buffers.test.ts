import { describe, expect, it } from "vitest"
import * as Buffers from "../../src/disk/Buffers.js"

describe("Memory", () => {
  it("gives back at once what nobody reads again", () => {
    const before = process.memoryUsage().arrayBuffers
    for (let count = 0; count < 64; count++) {
      const bytes = new Uint8Array(1_048_576)
      Buffers.release(bytes)
      expect(bytes).toHaveLength(0)
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2_097_152)
  })

  it("waits for the last of the bytes in it", () => {
    const whole = new Uint8Array(200_000)
    const [first, last] = [whole.subarray(0, 100_000), whole.subarray(100_000)]
    Buffers.release(first)
    expect(last).toHaveLength(100_000)
    Buffers.release(last)
    expect(whole).toHaveLength(0)
  })

  it("leaves the pool of small buffers to those who have bytes in it, and memory that is shared", () => {
    const pooled = Array.from({ length: 5000 }, (_, index) => Buffer.from(`bytes of number ${index}`))
    for (const [index, bytes] of pooled.entries()) {
      Buffers.release(bytes)
      expect(bytes.toString()).toBe(`bytes of number ${index}`)
    }
    const shared = new Uint8Array(new SharedArrayBuffer(100_000))
    Buffers.release(shared)
    expect(shared).toHaveLength(100_000)
  })
})
