/** Presigned S3 links, signature version 4, path style. */
import { createHash, createHmac } from "node:crypto"

const hmac = (key, text) => createHmac("sha256", key).update(text).digest()

const encode = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

/** A link for one method on one object, from `date` on for `seconds`. */
export const presign = ({
  method = "GET",
  root,
  path,
  accessKey,
  secretKey,
  region = "us-east-1",
  date = new Date(),
  seconds
}) => {
  const time = date.toISOString().replace(/[-:]|\.\d+/g, "")
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`
  const query = Object.entries({
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": `${accessKey}/${scope}`,
    "X-Amz-Date": time,
    "X-Amz-Expires": String(seconds),
    "X-Amz-SignedHeaders": "host"
  })
    .map(([name, value]) => `${name}=${encode(value)}`)
    .join("&")
  const canonical = [method, path, query, `host:${new URL(root).host}`, "", "host", "UNSIGNED-PAYLOAD"].join(
    "\n"
  )
  const toSign = ["AWS4-HMAC-SHA256", time, scope, createHash("sha256").update(canonical).digest("hex")].join(
    "\n"
  )
  const key = [time.slice(0, 8), region, "s3", "aws4_request"].reduce(hmac, `AWS4${secretKey}`)
  return `${root}${path}?${query}&X-Amz-Signature=${hmac(key, toSign).toString("hex")}`
}
