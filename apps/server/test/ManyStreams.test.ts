import { expect, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { eventually, over, start } from "./Service.js"

/** What Java's `HttpClient` sends with every request. */
const upgrade = {
  connection: "Upgrade, HTTP2-Settings",
  "http2-settings": "AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA",
  upgrade: "h2c"
}

/** Slow enough that the outage is not long: after a dozen failures in a minute nothing would be asked for a while. */
const pace = { BATCH_POLL_INITIAL_DELAY: "800ms", BATCH_POLL_MAX_DELAY: "3s", BATCH_POLL_MIN_DELAY: "400ms" }

/** All streams, and those of results, which are more than are called few; the long suite has more of events. */
const [count, ofResults] = [Number(process.env["BATCH_TEST_STREAMS"] ?? 120), 40]

/** The sizes of the chunks in which a body came. */
const sizesOf = (received: string): ReadonlyArray<number> => {
  const sizes: Array<number> = []
  for (let at = received.indexOf("\r\n\r\n") + 4; at < received.length;) {
    const end = received.indexOf("\r\n", at)
    const size = Number.parseInt(received.slice(at, end), 16)
    sizes.push(size)
    at = end + 2 + size + 2
  }
  expect(sizes.at(-1)).toBe(0)
  return sizes
}

const sum = (sizes: ReadonlyArray<number>): number => sizes.reduce((all, size) => all + size, 0)

it.scopedLive(
  `${count} streams through an outage, half of them abandoned, leave nothing open, and SIGTERM ends in time`,
  () =>
    Effect.gen(function* () {
      const { kill, metric, open, outcome, raw, sandbox } = yield* start({ env: pace })
      const stuck = yield* sandbox.createJob({ stuck: true })
      const large = yield* sandbox.createJob({ ...over, records: 10_000 })
      const short = yield* sandbox.createJob({ ...over, records: 600 })
      const asked = `GET /batch/${short}/results HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n`
      const alone = sizesOf((yield* raw(asked)).received)
      expect(Math.max(...alone)).toBeGreaterThan(131_072)
      const gauge = (kind: string) => metric(`batch_server_open_streams{kind="${kind}"}`)
      const paths = Array.from({ length: count }, (_, index) =>
        index % 2 === 0 && index < 2 * ofResults ? `/batch/${large}/results` : `/batch/${stuck}/events`
      )
      const streams = yield* Effect.forEach(paths, (path, index) => open(path, index === 0 ? upgrade : {}), {
        concurrency: 50
      })
      expect(new Set(streams.map(({ status }) => status))).toEqual(new Set([200]))
      yield* eventually(gauge("events"), (now) => now === count - ofResults)
      expect(yield* gauge("results")).toBe(ofResults)
      // One of many is given less memory, and the same rows.
      const among = sizesOf((yield* raw(asked)).received)
      expect(Math.max(...among)).toBeLessThanOrEqual(65_536)
      expect(sum(among)).toBe(sum(alone))

      const failures = metric(`batch_api_requests_total{outcome="network"}`)
      yield* sandbox.pauseApi
      yield* eventually(failures, (now) => now >= 2)
      yield* Effect.forEach(
        streams.filter((_, index) => index % 2 === 0),
        ({ leave }) => leave
      )
      yield* eventually(gauge("events"), (now) => now === count / 2)
      // The upgrade and all other readers of results were among those.
      yield* eventually(gauge("results"), (now) => now === 0)
      yield* sandbox.resumeApi
      yield* sandbox.job(stuck).complete
      const left = yield* Effect.forEach(
        streams.filter((_, index) => index % 2 === 1),
        ({ whole }) => whole,
        { concurrency: "unbounded" }
      )
      for (const { body, broken } of left) {
        expect(broken).toBeUndefined()
        expect(body.toString()).toMatch(/\nevent: end\n/u)
      }
      yield* eventually(gauge("events"), (now) => now === 0)

      const other = yield* sandbox.createJob({ stuck: true })
      const last = yield* Effect.replicateEffect(open(`/batch/${other}/events`), 20, { concurrency: 20 })
      yield* kill("SIGTERM")
      const [took, ended] = yield* Effect.timed(outcome)
      expect([ended.code, ended.stderr]).toEqual([143, ""])
      expect(Duration.toSeconds(took)).toBeLessThan(30)
      for (const { whole } of last) expect((yield* whole).body.toString()).not.toContain("event: end")
    })
)
