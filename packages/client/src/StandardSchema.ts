/**
 * The interface by which libraries of schemas (zod, valibot, `Schema.standardSchemaV1` of Effect …) can be used without
 * knowing them, as https://standardschema.dev has it, version 1.
 *
 * @example
 * import { Client, type StandardSchemaV1 } from "@org/batch-client"
 *
 * const rows = <A>(client: Client, id: string, schema: StandardSchemaV1<unknown, A>) => client.records(id, { schema })
 */

/** A schema that says what a record is, and may make something else of it. */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1
    /** The library. */
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    /** For the compiler alone. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** What a validation has found. */
export type StandardResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: ReadonlyArray<StandardIssue> }

/** What is wrong, and where. */
export interface StandardIssue {
  readonly message: string
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
}

/** What a schema makes of a record. */
export type OutputOf<Schema extends StandardSchemaV1> = NonNullable<Schema["~standard"]["types"]>["output"]
