/**
 * An npm registry on loopback: our packed tarballs, and for everything else the registry that npm is set up with here.
 * What is in npm's cache or pnpm's store already is taken from there, by its checksum.
 */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { createServer } from "node:http"
import { join } from "node:path"
import { promisify } from "node:util"

/** A running registry. */
export interface Registry {
  /** What `npm_config_registry` is set to. */
  readonly url: string
  readonly close: () => Promise<void>
}

interface Manifest {
  readonly name: string
  readonly version: string
}

/** Serves the tarballs of a folder, each as the only and latest version of its package. */
export const start = async (folder: string): Promise<Registry> => {
  const { stdout } = await promisify(execFile)("npm", ["config", "get", "registry"])
  const upstream = stdout.trim().replace(/\/*$/u, "")
  const files = (await readdir(folder)).filter((name) => name.endsWith(".tgz"))
  const packages = new Map(await Promise.all(files.map((file) => packed(join(folder, file)))))

  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "/").slice(1)
    const [name = "", file] = path.split("/-/")
    const found = packages.get(name)
    if (found === undefined) {
      // Whoever asks has the proxy and the certificates that this takes.
      response.writeHead(302, { location: `${upstream}${request.url ?? "/"}` }).end()
    } else if (file === undefined) {
      const dist = {
        tarball: `http://${request.headers.host ?? ""}/${name}/-/x.tgz`,
        integrity: found.integrity
      }
      const { version } = found.manifest
      response.writeHead(200, { "content-type": "application/json" })
      response.end(
        JSON.stringify({
          name,
          "dist-tags": { latest: version },
          versions: { [version]: { ...found.manifest, dist } }
        })
      )
    } else response.end(found.bytes)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("the registry has no port")
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

const packed = async (tarball: string) => {
  const { stdout } = await promisify(execFile)("tar", ["-xzOf", tarball, "package/package.json"])
  const manifest: Manifest = JSON.parse(stdout)
  const bytes = await readFile(tarball)
  const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`
  return [manifest.name, { manifest, bytes, integrity }] as const
}
