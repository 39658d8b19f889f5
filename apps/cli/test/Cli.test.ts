import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { lines, world } from "./Batchctl.js"

it.scopedLive("--version, --help and no command at all answer on standard output, without escape codes", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    expect(yield* run(["--version"])).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: ""
    })
    const help = yield* run(["--help"])
    expect(help).toMatchObject({ code: 0, stderr: "" })
    expect(yield* run([])).toEqual(help)
    const commands = ["get", "status", "wait", "download", "list", "verify", "doctor", "sandbox", "demo"]
    expect(commands.filter((name) => !help.stdout.includes(`\n  ${name} `))).toEqual([])
    expect(help.stdout).not.toContain("\u001b")
  })
)

it.scopedLive("help on a command lists its flags and examples", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const { code, stdout } = yield* run(["get", "--help"])
    expect(code).toBe(0)
    const flags = [
      "--timeout",
      "-o, --output",
      "--format",
      "--parts",
      "--concurrency",
      "--force",
      "--allow-incomplete",
      "--receipt",
      "--json",
      "--quiet"
    ]
    expect(flags.filter((flag) => !stdout.includes(`  ${flag}`))).toEqual([])
    expect(stdout).toContain("Examples")
  })
)

it.scopedLive("a completion script for each shell", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const scripts = yield* Effect.forEach(["bash", "zsh", "fish"], (shell) => run(["--completions", shell]))
    expect(scripts.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      scripts.map(() => ({ code: 0, stderr: "" }))
    )
    expect(scripts.filter(({ stdout }) => !stdout.includes("download"))).toEqual([])
  })
)

it.scopedLive("the completion script for bash is one that bash can read", () =>
  Effect.gen(function* () {
    const { shell } = yield* world()
    const { stdout } = yield* shell("source <($B --completions bash) && complete -p batchctl")
    expect(stdout).toContain("batchctl")
  })
)

it.scopedLive.each([
  [["frobnicate"], "Invalid subcommand"],
  [["list", "--limt", "3"], "--limt"],
  [["status", "--jsn"], "--jsn is no flag"],
  [["status"], "no batch id"],
  [["list", "--limit", "many"], "many"],
  [["verify"], "file"]
] as const)("misuse %j: 2, told once on standard error, with where to look", ([args, told]) =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const { code, stderr, stdout } = yield* run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
    expect(stderr).toContain(told)
    expect(lines(stderr)).toEqual([
      expect.stringMatching(/^error: /),
      expect.stringMatching(/^ {2}next {3}batchctl /)
    ])
    expect(yield* sandbox.requests).toEqual([])
  })
)

it.scopedLive.each([
  "list --status failed --limit 5",
  "list --log-level debug --limit 5",
  "wait 01234567-89ab-4cde-8f01-23456789abcd --timeout 1h --quiet",
  "get 01234567-89ab-4cde-8f01-23456789abcd -o x.csv --format csv --columns id --concurrency 2 --timeout 1h"
])("the command to run next has each value behind its flag: %s", (line) =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world()
    const { code, stderr } = yield* run(line.split(" "), { env: { BATCH_RETRY_LIMIT: "many" } })
    expect(code).toBe(2)
    expect(lines(stderr).at(-1)).toBe(`  next   correct or unset BATCH_RETRY_LIMIT, then batchctl ${line}`)
    expect(yield* sandbox.requests).toEqual([])
  })
)
