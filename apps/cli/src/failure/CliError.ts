/**
 * The errors of the command line itself, beside those of the core.
 */
import type { Batch } from "@org/batch-core/Batch"
import { BatchError } from "@org/batch-core/BatchError"
import type { Receipt } from "@org/batch-core/Receipt"
import { Schema } from "effect"
import type { CommandLine } from "../terminal/CommandLine.js"

/**
 * The command line is invalid: an unknown flag, a bad value, flags that exclude each other. Raised before any request.
 */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  /** What is wrong, naming the flag or the argument. */
  detail: Schema.String,
  /** What to run instead, if there is a better answer than the command's `--help`. */
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

/** The failures have been printed already; only the exit code is still to be passed on. */
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

/** The service that keeps retrievals refuses, or cannot be reached. */
export class ServiceError extends Schema.TaggedError<ServiceError>()("ServiceError", {
  /** The service's own word for it, such as `RetrievalNotFound`; `ServiceUnavailable` if it cannot be reached. */
  type: Schema.String,
  detail: Schema.String,
  /** Of HTTP, if there was an answer. */
  status: Schema.optionalWith(Schema.Int, { as: "Option" }),
  /** The pause that the service asked for, if it did. */
  retryAfterSeconds: Schema.optionalWith(Schema.Number, { as: "Option" })
}) {
  override get message(): string {
    return this.detail
  }
}

/** The schema of every failure that is printed, for `--json`. */
export const AnyFailure = Schema.Union(
  BatchError,
  UsageError,
  SettingsError,
  SandboxUnavailable,
  ServiceError
)

/** Every failure that is printed to the user. */
export type Failure = typeof AnyFailure.Type

/** The failures of the command line itself. */
export type OwnFailure = UsageError | SettingsError | SandboxUnavailable | ServiceError

/** The context in which a failure is printed. */
export interface Circumstances {
  readonly commandLine: CommandLine
  /** The batch that it is about. */
  readonly batchId?: string | undefined
  /** The file on the disk that it is about, or the folder. */
  readonly file?: string | undefined
  /** The receipt of that file. */
  readonly receipt?: Receipt | undefined
  /** The last answer of the API about it. */
  readonly last?: Batch | undefined
}
