/** Servers of the tests' own on loopback, and a certificate for them. */
import { Effect, type Scope } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import type { Server } from "node:http"
import type { Server as SecureServer } from "node:https"
import type { AddressInfo } from "node:net"
import { join } from "node:path"

/** The port of a server that lives as long as the scope. */
export const listening = (server: Server | SecureServer): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.sync(() => addressOf(server.address()).port)))
    }),
    () =>
      Effect.async<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )

/** Where a server listens on a port. */
export const addressOf = (address: string | AddressInfo | null): AddressInfo => {
  if (address === null || typeof address === "string") throw new Error("the server has no port")
  return address
}

/** Whether programs are installed. */
export const installed = (...programs: ReadonlyArray<string>): boolean =>
  programs.every((program) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0)

/** Makes a certificate for 127.0.0.1 that nobody has signed; openssl must be installed. */
export const selfSigned = (folder: string): { readonly key: string; readonly cert: string } => {
  const paths = { key: join(folder, "key.pem"), cert: join(folder, "cert.pem") }
  const request =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
  execFileSync(
    "openssl",
    [
      ...request.split(" "),
      "-addext",
      "subjectAltName=IP:127.0.0.1",
      "-keyout",
      paths.key,
      "-out",
      paths.cert
    ],
    { stdio: "ignore" }
  )
  return paths
}
