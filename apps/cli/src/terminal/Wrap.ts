/**
 * Text that fits the width of a terminal: prose breaks between words, a command to be pasted never does.
 */

const glue = "\u001f"

/** A text that is never broken, such as a command that is to be pasted. `wrap` takes the mark out again. */
export const unbroken = (text: string): string => text.replaceAll(" ", glue)

/** Takes out the marks of `unbroken`. */
export const restored = (text: string): string => text.replaceAll(glue, " ")

/**
 * Breaks a line between words so that it stays within `columns`, the following lines indented by `hang`. A word that
 * is longer than that stands alone, whole, at the margin if it does not fit behind the indentation.
 */
export const wrap = (line: string, columns: number, hang = 0): ReadonlyArray<string> => {
  const indent = " ".repeat(hang)
  const [, lead = "", text = ""] = /^(\s*)(.*)$/su.exec(line) ?? []
  const lines = [lead]
  let isEmpty = true
  for (const word of text.split(" ")) {
    const current = lines.at(-1) ?? ""
    const longer = isEmpty ? `${current}${word}` : `${current} ${word}`
    if (longer.length <= columns) lines[lines.length - 1] = longer
    else if (isEmpty) lines[lines.length - 1] = current.trim() === "" && lines.length > 1 ? word : longer
    else lines.push(indent.length + word.length <= columns ? `${indent}${word}` : word)
    isEmpty = false
  }
  return lines.map((one) => restored(one).trimEnd())
}

/** Terms and their meanings in two columns; on a narrow terminal each meaning stands below its term. */
export const definitions = (
  rows: ReadonlyArray<readonly [term: string, text: string]>,
  columns: number
): ReadonlyArray<string> => {
  const width = Math.max(0, ...rows.map(([term]) => term.length))
  const isNarrow = width + 4 > columns / 2
  return rows.flatMap(([term, text]) =>
    isNarrow
      ? [...wrap(`  ${term}`, columns, 4), ...wrap(`      ${text}`, columns, 6)]
      : wrap(`  ${unbroken(term.padEnd(width + 1))} ${text}`, columns, width + 4)
  )
}
