/** A file from node:http, piped. */
import { createReadStream } from "node:fs"
import { createServer } from "node:http"
import { pipeline } from "node:stream"

const { FILE: file = "" } = process.env
const server = createServer((_, response) => {
  response.writeHead(200, { "content-type": "application/x-ndjson" })
  pipeline(createReadStream(file), response, () => undefined)
})
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`))
