import { expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { crc32 } from "node:zlib"
import * as Crc32 from "../src/Crc32.js"

const bytes = FastCheck.uint8Array({ maxLength: 300 })
const checksum = (data: Uint8Array): Crc32.Checksum => ({ crc: crc32(data), length: data.length })

it("the combined checksum is that of the joined bytes", () => {
  FastCheck.assert(
    FastCheck.property(bytes, bytes, (first, second) => {
      expect(Crc32.combine(checksum(first), checksum(second))).toEqual(
        checksum(Buffer.concat([first, second]))
      )
    })
  )
})

it("nothing is neutral on both sides", () => {
  const some = checksum(Buffer.from("Zürich"))
  expect(Crc32.combine(Crc32.empty, some)).toEqual(some)
  expect(Crc32.combine(some, Crc32.empty)).toEqual(some)
})
