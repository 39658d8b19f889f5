import { expect, it } from "@effect/vitest"
import type { Fault } from "@org/batch-sandbox"
import { Effect } from "effect"
import { nobody, over, small, start, under } from "./Service.js"

const apiKey = "sk-live-3b1f9e55c0a7"
const token = "token-77aa0cc1d2e3f4"

for (const [name, env, bearer] of [
  ["a key of its own", { CRUSTDATA_API_KEY: apiKey, BATCH_SERVER_TOKENS: token }, token],
  ["keys of its callers", { CRUSTDATA_API_KEY: undefined }, apiKey]
] as const) {
  it.scopedLive(`with ${name}: no key, token or link is in a log line, an error, a header or a metric`, () =>
    Effect.gen(function* () {
      const { get, kill, outcome, sandbox } = yield* start({
        env: { ...env, ...small, BATCH_TRANSFER_RETRIES: "1", LOG_LEVEL: "debug" },
        sandbox: { apiKey }
      })
      const id = yield* sandbox.createJob({ ...over, records: 300, parts: 2 })
      const failed = yield* sandbox.createJob({
        ...over,
        outcome: "failed",
        errorMessage: `saw Bearer ${apiKey} at https://bucket.example/x?X-Amz-Signature=feedface`
      })
      const texts: Array<string> = []
      const told = (path: string, headers: Readonly<Record<string, string>> = {}) =>
        Effect.map(
          get(path, { authorization: `Bearer ${bearer}`, ...headers }),
          ({ body, headers, status }) => {
            texts.push(JSON.stringify(headers), status >= 400 || path === "/metrics" ? body.toString() : "")
            return status
          }
        )

      expect(yield* told(`/batch/${id}`)).toBe(200)
      expect(yield* told(`/batch/${id}/wait`)).toBe(200)
      expect(yield* told(`/batch/${id}/events`)).toBe(200)
      expect(yield* told(`/batch/${id}/results`)).toBe(200)
      expect(yield* told(`/batch/${failed}/results`)).toBe(422)
      expect(yield* told(`/batch/${nobody}`)).toBe(404)
      expect(yield* told(`/nowhere?key=${apiKey}&token=${token}`)).toBe(404)
      expect(yield* told(`/batch?status=https://x.example/?X-Amz-Signature=feedface`)).toBe(400)
      expect(yield* told(`/batch/https%3A%2F%2Fb.example%2Fx%3FX-Amz-Signature%3Dfeedface`)).toBe(400)
      expect(yield* told(`/batch/${id}/wait?timeout=https://b.example/?X-Amz-Signature=feedface`)).toBe(400)
      expect(yield* told(`/health`, { "x-request-id": `https://b.example/?X-Amz-Signature=feedface` })).toBe(
        200
      )

      for (const effects of [
        { respond: { status: 403, body: "<Error><Code>SignatureDoesNotMatch</Code></Error>" } },
        { expired: true },
        { cut: { afterBytes: 30_000, by: "reset" } },
        { redirect: { to: "https://elsewhere.example/?X-Amz-Signature=feedface" } },
        { garbage: {} },
        { flipByte: { at: 3000 } },
        { flipByte: { at: 30_000 } }
      ] as const satisfies ReadonlyArray<Fault.Effects>) {
        const rule = { on: { server: "storage" }, times: -1, do: effects } as const
        yield* under(sandbox, [rule], told(`/batch/${id}/results`))
      }
      for (const effects of [
        {
          respond: {
            status: 400,
            body: `{"error":{"message":"bad ${apiKey}","metadata":{"see":"https://b.example/?X-Amz-Signature=feedface"}}}`
          }
        },
        {
          respond: { status: 401, body: `{"error":{"message":"${apiKey}","metadata":{"key":"${apiKey}"}}}` }
        },
        { respond: { status: 404, body: apiKey } },
        { redirect: { to: `https://elsewhere.example/?key=${apiKey}` } },
        { garbage: { body: `<p>${apiKey} https://b.example/?X-Amz-Signature=feedface` } }
      ] as const satisfies ReadonlyArray<Fault.Effects>) {
        const rule = { on: { server: "api" }, times: -1, do: effects } as const
        yield* under(sandbox, [rule], told(`/batch?status=${effects.respond?.status ?? 0}`))
      }
      expect(yield* told("/metrics")).toBe(200)
      yield* kill("SIGTERM")
      const { stderr, stdout } = yield* outcome

      const lines = [...texts, stdout, stderr].join("\n").split("\n")
      expect(lines.some((line) => line.includes(id))).toBe(true)
      expect(lines.some((line) => line.includes("ResultsCorrupt"))).toBe(true)
      expect(lines.some((line) => line.includes("X-Amz-Signature"))).toBe(true)
      for (const secret of [apiKey, token, "feedface", /X-Amz-(?:Signature|Credential)(?:=|%3D)[^*]/iu]) {
        expect(lines.filter((line) => line.search(secret) >= 0)).toEqual([])
      }
    })
  )
}
