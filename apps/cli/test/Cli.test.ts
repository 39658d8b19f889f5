import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { lines, over, world } from "./Batchctl.js"

it.scopedLive("--version, --help and no command at all answer on standard output, without escape codes", () =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const version = yield* run(["--version"])
    expect(version).toEqual({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: "" })
    for (const words of [["-V"], ["version"]]) expect(yield* run(words)).toEqual(version)
    const help = yield* run(["--help"])
    expect(help).toMatchObject({ code: 0, stderr: "" })
    for (const words of [[], ["-h"], ["help"]]) expect(yield* run(words)).toEqual(help)
    const commands = ["get", "status", "wait", "download", "list", "verify", "doctor", "sandbox", "demo"]
    expect(commands.filter((name) => !help.stdout.includes(`\n  ${name} `))).toEqual([])
    expect(commands.filter((name) => !help.stdout.includes(`\n  batchctl ${name}`))).toEqual([])
    expect(help.stdout).toMatch(/Main commands\n[^]*Look at jobs and files\n[^]*Tools\n/u)
    expect(help.stdout).not.toContain("\u001b")
    expect(help.stdout).not.toContain("wizard")
  })
)

it.scopedLive("help goes to a reader that has seen enough, and fits the width that is asked for", () =>
  Effect.gen(function* () {
    const { shell } = yield* world()
    expect(yield* shell("$B --help | head -1 >/dev/null; echo ${PIPESTATUS[0]}")).toMatchObject({
      stdout: "0\n",
      stderr: ""
    })
    const full = yield* shell("$B --help >/dev/full; echo $?")
    expect(full).toMatchObject({ stdout: "9\n", stderr: expect.stringContaining("standard output") })
    const narrow = yield* shell("COLUMNS=50 $B help get")
    const long = lines(narrow.stdout).filter((line) => line.length > 50)
    expect(long).toEqual([])
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
    expect(flags.filter((flag) => !stdout.includes(` ${flag}`))).toEqual([])
    expect(stdout).toContain("Examples")
    for (const words of [
      ["help", "get"],
      ["get", "-h"],
      ["-h", "get"]
    ])
      expect((yield* run(words)).stdout).toBe(stdout)
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
  [["frobnicate"], "frobnicate is no command of batchctl"],
  [["help", "frobnicate"], "frobnicate is no command of batchctl"],
  [["list", "--limt", "3"], "--limt is no flag of batchctl list; did you mean --limit?"],
  [["status", "--jsn"], "--jsn is no flag"],
  [["--wizard"], "--wizard is no flag of batchctl"],
  [["--token", "secret", "list"], "--token is no flag"],
  [["list", "more"], "batchctl list takes no argument, but there is more"],
  [["list", "--json=yes"], "--json takes no value"],
  [["list", "--limit"], "--limit needs a value: --limit N"],
  [["list", "--status", "--all"], "--status needs a value before --all"],
  [
    ["get", "x", "--format", "parquet"],
    "--format parquet is not available: there are jsonl.gz, jsonl and csv"
  ],
  [["--completions", "tcsh"], "there are bash, zsh and fish"],
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

it.scopedLive.each([
  ["lst --limit 3", "batchctl list --limit 3"],
  ["help ger", "batchctl help get"],
  ["list --limt=3 --json", "batchctl list --limit=3 --json"],
  [
    "get 01234567-89ab-4cde-8f01-23456789abcd --format cvs",
    "batchctl get 01234567-89ab-4cde-8f01-23456789abcd --format csv"
  ],
  ["list --log-level=debgu", "batchctl list --log-level=debug"],
  [
    "wait --queit 01234567-89ab-4cde-8f01-23456789abcd",
    "batchctl wait --quiet 01234567-89ab-4cde-8f01-23456789abcd"
  ]
] as const)("a slip is met with what was probably meant, to paste: %s", ([typed, meant]) =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const { code, stderr } = yield* run(typed.split(" "))
    expect(code).toBe(2)
    expect(stderr).toContain("did you mean ")
    expect(lines(stderr).at(-1)).toBe(`  next   ${meant}`)
  })
)

it.scopedLive("short flags: -q, -oFILE, and both in one word", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const id = yield* sandbox.createJob({ ...over, records: 3 })
    expect(yield* run(["get", id, "-q", "-oone.jsonl"])).toEqual({ code: 0, stdout: "", stderr: "" })
    expect(yield* run(["get", "-qotwo.jsonl", "--", id])).toEqual({ code: 0, stdout: "", stderr: "" })
    expect(readFileSync(join(folder, "two.jsonl"))).toEqual(readFileSync(join(folder, "one.jsonl")))
  })
)

it.scopedLive.each([
  [["--log-level", "debug"], {}],
  [[], { BATCH_DEBUG: "api" }]
] as const)("%j %j shows requests, answers, pauses and why; standard output stays as it is", ([flags, env]) =>
  Effect.gen(function* () {
    const { run, sandbox } = yield* world({ apiKey: "sk-live-3b1f9e55c0a7" })
    const id = yield* sandbox.createJob({ ...over, records: 3 })
    yield* sandbox.script({
      on: { server: "api" },
      do: { respond: { status: 503, body: `{"message":"busy"}` } }
    })
    const quiet = ["status", id, "--json"]
    const { code, stderr, stdout } = yield* run([...flags, ...quiet], { env })
    expect(code).toBe(0)
    expect(stdout).toBe((yield* run(quiet)).stdout)
    const told = lines(stderr).filter((line) => !line.startsWith("  "))
    expect(told).toEqual([
      `debug: > GET ${sandbox.baseUrl}/batch/${id}`,
      expect.stringMatching(/^debug: < 503 in \d.* m?s$/u),
      `debug:   {"message":"busy"}`,
      expect.stringMatching(
        /^debug: api: attempt 1 failed \(.*HTTP 503: busy; request [\da-f-]+\); pause of .* m?s$/u
      ),
      `debug: > GET ${sandbox.baseUrl}/batch/${id}`,
      expect.stringMatching(/^debug: < 200 in \d.* m?s$/u),
      expect.stringContaining(`debug:   {"batch_id":"${id}"`)
    ])
    expect(stderr).toContain("  authorization: ***")
    expect(stderr).not.toContain("sk-live")
    const wait = yield* run(
      ["wait", yield* sandbox.createJob({ stuck: true }), "--timeout", "2s", ...flags],
      { env }
    )
    expect(wait.stderr).toMatch(/debug: batch [0-9a-f-]{36}: pause of .* m?s \(the cadence\)/u)
    expect(wait.stderr).not.toContain("unhandled")
  })
)
