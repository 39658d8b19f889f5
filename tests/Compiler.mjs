// Type-checks as a process of its own, since it holds a thread for long. Reads what to check from standard input, as JSON:
// `options` as in a tsconfig.json, `files` with their code where they are not on the disk, and `within`, the folder whose
// faults count: what others declare is not ours to check. Prints `{ "checked": <number of files>, "faults": [<text>] }`.
import { readFileSync } from "node:fs"
import ts from "typescript"

const { files, folder, options, within } = JSON.parse(readFileSync(0, "utf8"))
const { errors, options: compilerOptions } = ts.convertCompilerOptionsFromJson(options, folder)
const host = ts.createCompilerHost(compilerOptions)
const { fileExists, readFile } = host
host.fileExists = (file) => typeof files[file] === "string" || fileExists(file)
host.readFile = (file) => (typeof files[file] === "string" ? files[file] : readFile(file))
const program = ts.createProgram(Object.keys(files), compilerOptions, host)
const ours = program
  .getSourceFiles()
  .filter(({ fileName }) => (within === undefined ? fileName in files : fileName.startsWith(within)))
const diagnostics = [
  ...errors,
  ...program.getOptionsDiagnostics(),
  ...program.getGlobalDiagnostics(),
  ...ours.flatMap((file) => [
    ...program.getSyntacticDiagnostics(file),
    ...program.getSemanticDiagnostics(file)
  ])
]
const faults = diagnostics.map(
  ({ file, messageText }) => `${file?.fileName ?? ""}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`
)
process.stdout.write(JSON.stringify({ checked: ours.length, faults }))
