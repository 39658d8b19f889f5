/**
 * Retrievals that survive crashes, deploys and machines that die, in a folder of one machine or on PostgreSQL for many.
 *
 * @packageDocumentation
 */
export * as Account from "./Account.js"
export * as Campaign from "./Campaign.js"
export * as Campaigns from "./Campaigns.js"
export * as Embedded from "./Embedded.js"
export * as Notification from "./Notification.js"
export * as Postgres from "./Postgres.js"
export * as Reach from "./Reach.js"
export * as Retrieval from "./Retrieval.js"
export * as RetrievalError from "./RetrievalError.js"
export * as Retrievals from "./Retrievals.js"
export * as Secrets from "./Secrets.js"
export * as Settings from "./Settings.js"
export * as Signature from "./Signature.js"
export * as Store from "./Store.js"
export * as Worker from "./Worker.js"
