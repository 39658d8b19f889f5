/** What the properties are about. */
import { FastCheck as fc } from "effect"

/** Every character that RFC 3986 allows in a query. */
const queryCharacter = fc.constantFrom(..."ABCXYZabcxyz0189-._~!$&'()*+,;=:@/?", "%22", "%27", "%2F", "%5C")

/** A presigned link: a public address, and a query of any lawful form with a secret at its end. */
export const link = fc
  .record({
    address: fc.constantFrom(
      "https://bucket.s3.amazonaws.com/results/part-000.jsonl.gz",
      "http://127.0.0.1:8788/files/a",
      "https://BUCKET.test/a%20b/it's",
      "HTTPS://bucket.test/"
    ),
    query: fc.array(queryCharacter, { maxLength: 12 }).map((characters) => characters.join("")),
    name: fc.constantFrom("X-Amz-Signature", "token"),
    secret: fc.stringMatching(/^[0-9a-f]{16}$/u)
  })
  .map(({ address, name, query, secret }) => ({
    address,
    secret,
    url: `${address}?${query}&${name}=${secret}`
  }))
