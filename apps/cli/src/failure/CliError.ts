/**
 * What can go wrong in the front end itself, beside the failures of the core.
 */
import type { Batch } from "@org/batch-core/Batch"
import { BatchError } from "@org/batch-core/BatchError"
import { Schema } from "effect"
import type { CommandLine } from "../terminal/CommandLine.js"

/** The command line asks for something that cannot be done. Nothing was requested. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  /** What is wrong, naming the flag or the argument. */
  detail: Schema.String,
  /** What to write instead, if there is something to say. */
  hint: Schema.optionalWith(Schema.String, { as: "Option" }),
  /** The argument that was taken for a batch id, if it is about one. */
  batchId: Schema.optionalWith(Schema.String, { as: "Option" })
}) {
  override get message(): string {
    return this.detail
  }
}

/** A setting of the environment or of the profile file cannot be used. */
export class SettingsError extends Schema.TaggedError<SettingsError>()("SettingsError", {
  /** The variable, or the file. */
  setting: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.setting}: ${this.detail}`
  }
}

/** The failures have been told already; this carries the exit code to the end. */
export class AlreadyReported extends Schema.TaggedError<AlreadyReported>()("AlreadyReported", {
  exitCode: Schema.Int
}) {}

/** The local sandbox could not be started or used. */
export class SandboxUnavailable extends Schema.TaggedError<SandboxUnavailable>()("SandboxUnavailable", {
  detail: Schema.String
}) {
  override get message(): string {
    return `the sandbox could not be started: ${this.detail}`
  }
}

/** Every failure that is told to the user, for encoding. */
export const AnyFailure = Schema.Union(BatchError, UsageError, SettingsError, SandboxUnavailable)

/** Every failure that is told to the user. */
export type Failure = typeof AnyFailure.Type

/** Those of the front end. */
export type OwnFailure = UsageError | SettingsError | SandboxUnavailable

/** What is known around a failure. */
export interface Circumstances {
  readonly commandLine: CommandLine
  /** The batch that it is about. */
  readonly batchId?: string | undefined
  /** The last answer of the API about it. */
  readonly last?: Batch | undefined
}
