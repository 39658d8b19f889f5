// Type-checks as a process of its own, since it holds a thread for long. Reads projects from standard input, as JSON: `options`
// as in a tsconfig.json, `files` with their code where they are not on the disk, and `within`, the folder whose faults
// count: what others declare is not ours to check. Prints for each `{ "checked": <number of files>, "faults": [<text>] }`.
import { readFileSync } from "node:fs"
import ts from "typescript"

/** Declarations by their path and format: parsing them is most of the work, and modes of resolution do not matter to it. */
const declarations = new Map()

const check = ({ files, folder, options, within }) => {
  const { errors, options: compilerOptions } = ts.convertCompilerOptionsFromJson(options, folder)
  const host = ts.createCompilerHost(compilerOptions)
  const { fileExists, getSourceFile, readFile } = host
  host.fileExists = (file) => typeof files[file] === "string" || fileExists(file)
  host.readFile = (file) => (typeof files[file] === "string" ? files[file] : readFile(file))
  host.getSourceFile = (file, target, ...rest) => {
    if (!/\.d\.[cm]?ts$/u.test(file)) return getSourceFile(file, target, ...rest)
    const key = JSON.stringify([file, target.languageVersion, target.impliedNodeFormat])
    if (!declarations.has(key)) declarations.set(key, getSourceFile(file, target, ...rest))
    return declarations.get(key)
  }
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
    ({ file, messageText }) =>
      `${file?.fileName ?? ""}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`
  )
  return { checked: ours.length, faults }
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(check)))
