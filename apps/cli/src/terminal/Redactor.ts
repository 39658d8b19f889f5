/**
 * Redaction of everything the process prints: the API key is masked even where a peer has echoed it.
 */
import { scrub } from "@org/batch-core/Masking"
import { Context, Effect, Layer, Redacted } from "effect"

/** The secrets of this run, and their redaction. */
export interface Service {
  /** Adds a secret: it is redacted from now on. */
  readonly add: (secret: Redacted.Redacted<string>) => Effect.Effect<void>
  /** Masks every secret in a text. */
  readonly redact: (text: string) => string
}

/** The secrets of this run, and their redaction. */
export class Redactor extends Context.Tag("@org/batch-cli/Redactor")<Redactor, Service>() {}

/** Characters. A shorter secret is no key, and masking it would garble ordinary words. */
const shortest = 6

/** A redactor without secrets: the settings add the key once it is read. */
export const layer: Layer.Layer<Redactor> = Layer.sync(Redactor, () => {
  const secrets: Array<Redacted.Redacted<string>> = []
  return {
    add: (secret) =>
      Effect.sync(() => {
        if (Redacted.value(secret).length >= shortest) secrets.push(secret)
      }),
    redact: (text) => secrets.reduce(scrub, text)
  }
})
