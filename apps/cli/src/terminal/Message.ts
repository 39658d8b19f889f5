/**
 * A message as it stands on standard error, whoever writes it there.
 */
import { restored, wrap } from "./Wrap.js"

/** Whether a live line can be drawn: a terminal that can redraw, and no CI that logs it. */
export const isInteractive = (
  { isTTY }: { readonly isTTY?: boolean | undefined },
  env: Readonly<Record<string, string | undefined>>
): boolean => isTTY === true && !env["CI"] && env["TERM"] !== "dumb"

/** The width of a terminal in characters; 80 where it does not know it. */
export const widthOf = ({ columns }: { readonly columns?: number | undefined }): number =>
  Math.max(20, columns || 80)

/** The text, wrapped between words where there is a width. */
export const of = (text: string, columns: number | undefined): string =>
  columns === undefined
    ? restored(text)
    : text
        .split("\n")
        .flatMap((line) => wrap(line, columns, hangOf(line)))
        .join("\n")

/** The lines behind a label such as `error:` or `next` stand under the text behind it. */
const hangOf = (line: string): number =>
  /^(?: {2}(?:batch|next) {2,3}|(?:error|warning|debug): )/u.exec(line)?.[0].length ?? 2
