/**
 * Status, waiting, rows, download and verification of Crustdata batch jobs as promises and async iterables.
 *
 * @packageDocumentation
 */
export * from "./Batch.js"
export * from "./BatchError.js"
export * from "./Campaign.js"
export * from "./CampaignsClient.js"
export * from "./Client.js"
export * from "./Duration.js"
export * from "./Event.js"
export * from "./HostedCampaign.js"
export * from "./Receipt.js"
export * from "./Retrieval.js"
export * from "./RetrievalsClient.js"
export * from "./Settings.js"
export * from "./StandardSchema.js"
export * from "./Submit.js"
