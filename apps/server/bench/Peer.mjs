/** Servers that do nothing but answer: `PEER` is raw or fastify, `BODY` what they answer. */
import { createServer } from "node:http"

const { BODY: body = "", PEER: peer } = process.env

if (peer === "fastify") {
  const { default: fastify } = await import("fastify")
  const app = fastify()
  app.get("/batch/:id", (_, reply) => reply.type("application/json").send(body))
  console.log(await app.listen({ port: 0, host: "127.0.0.1" }))
} else {
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
  const server = createServer((_, response) => response.writeHead(200, headers).end(body))
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`))
}
