/**
 * The version of this package.
 */

/** The bundler puts it in. */
declare const BATCH_SERVER_VERSION: string

/** The version of this package, such as `1.2.3`. */
export const version: string = BATCH_SERVER_VERSION
