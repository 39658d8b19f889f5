import type { BatchConfig, Event as CoreEvent } from "@org/batch-core"
import { Schema } from "effect"
import { expectTypeOf, it } from "vitest"
import { z } from "zod"
import type {
  Client,
  DownloadOptions,
  Event,
  JsonRecord,
  RecordsOptions,
  Settings,
  StandardSchemaV1
} from "../src/index.js"

it("types say what comes", () => {
  const calls = (client: Client, id: string) => ({
    plain: client.records(id),
    named: client.records<{ readonly a: number }>(id, { timeout: "30m" }),
    ofZod: client.records(id, { schema: z.object({ a: z.string().transform(Number) }) }),
    ofEffect: client.records(id, {
      schema: Schema.standardSchemaV1(Schema.Struct({ a: Schema.NumberFromString }))
    })
  })
  type Rows<Name extends keyof ReturnType<typeof calls>> =
    ReturnType<typeof calls>[Name] extends AsyncIterable<infer Row> ? Row : never
  expectTypeOf<Rows<"plain">>().toEqualTypeOf<JsonRecord>()
  expectTypeOf<Rows<"named">>().toEqualTypeOf<{ readonly a: number }>()
  expectTypeOf<Rows<"ofZod">>().toEqualTypeOf<{ a: number }>()
  expectTypeOf<Rows<"ofEffect">>().toEqualTypeOf<{ readonly a: number }>()
  expectTypeOf(z.object({})).toExtend<StandardSchemaV1>()
})

it("settings and events are those of the core, all of them", () => {
  type Names<Group extends "poll" | "retry" | "transfer"> = keyof NonNullable<Settings[Group]>
  expectTypeOf<Names<"poll">>().toEqualTypeOf<keyof BatchConfig.Settings["poll"]>()
  expectTypeOf<Names<"retry">>().toEqualTypeOf<keyof BatchConfig.Settings["retry"]>()
  expectTypeOf<Names<"transfer">>().toEqualTypeOf<keyof BatchConfig.Settings["transfer"]>()
  type Told = CoreEvent.Event["_tag"]
  expectTypeOf<Exclude<Told, "Notice">>().toEqualTypeOf<
    Exclude<Event["_tag"], "RequestFailed" | "UnknownStatus">
  >()
  expectTypeOf<DownloadOptions["signal"]>().toEqualTypeOf<RecordsOptions["signal"]>()
})
