import type { BatchConfig, Event as CoreEvent, SubmitRequest } from "@org/batch-core"
import { Schema } from "effect"
import { expectTypeOf, it } from "vitest"
import { z } from "zod"
import type {
  Client,
  DownloadOptions,
  Event,
  JobKind,
  JsonRecord,
  RecordsOptions,
  Settings,
  StandardSchemaV1,
  SubmitBodies
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

it("bodies are those of the core, of every kind, with the same properties", () => {
  type Core = { readonly [Kind in JobKind]: SubmitRequest.Body<Kind> }
  type Named<Body> = keyof { [Name in keyof Body as string extends Name ? never : Name]: true }
  expectTypeOf<JobKind>().toEqualTypeOf<SubmitRequest.KindName>()
  expectTypeOf<SubmitBodies>().toExtend<Core>()
  expectTypeOf<Core>().toExtend<SubmitBodies>()
  expectTypeOf<{ [Kind in JobKind]: Named<SubmitBodies[Kind]> }>().toEqualTypeOf<{
    [Kind in JobKind]: Named<Core[Kind]>
  }>()
  expectTypeOf<{ readonly domains: string }>().not.toExtend<SubmitBodies["company/enrich"]>()
})
