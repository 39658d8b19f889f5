/**
 * The grammar of search filters.
 */
import { Either } from "effect"

/** The operators of a condition. `>=` and `<=` are not among them: it is `=>` and `=<`. */
export const operators: ReadonlyArray<string> = [
  "=",
  "!=",
  "<",
  "=<",
  ">",
  "=>",
  "in",
  "not_in",
  "(.)",
  "(!)",
  "[.]",
  "is_null",
  "is_not_null",
  "geo_distance"
]

const maxDepth = 10

/** Check filters: a group at the top, groups and conditions below. Left is what is wrong. */
export const check = (filters: unknown): Either.Either<void, string> =>
  isObject(filters) && "conditions" in filters
    ? checkNode(filters, 0)
    : Either.left('`filters` must be a group: {"op":"and"|"or","conditions":[…]}')

/** Check sorts: `[{"field","order"}]`. Left is what is wrong. */
export const checkSorts = (sorts: unknown): Either.Either<void, string> =>
  Array.isArray(sorts) &&
  sorts.every(
    (one) => isObject(one) && typeof one.field === "string" && (one.order === "asc" || one.order === "desc")
  )
    ? Either.right(undefined)
    : Either.left('`sorts` must be an array of {"field","order":"asc"|"desc"}')

const checkNode = (node: unknown, depth: number): Either.Either<void, string> => {
  if (!isObject(node) || depth > maxDepth) return Either.left("A filter must be a group or a condition")
  if (!("conditions" in node)) return checkCondition(node)
  const { conditions, op } = node
  if (op !== "and" && op !== "or") return Either.left("The `op` of a group must be `and` or `or`")
  if (!Array.isArray(conditions) || conditions.length === 0) {
    return Either.left("The `conditions` of a group must be a non-empty array")
  }
  return Either.map(
    Either.all(conditions.map((condition) => checkNode(condition, depth + 1))),
    () => undefined
  )
}

const checkCondition = ({
  field,
  type,
  value
}: Readonly<Record<string, unknown>>): Either.Either<void, string> => {
  if (typeof field !== "string") return Either.left("A condition needs a `field`")
  if (typeof type !== "string" || !operators.includes(type)) {
    return Either.left(`Unknown operator ${JSON.stringify(type)}; one of ${operators.join(" ")}`)
  }
  return value === undefined && !type.startsWith("is_")
    ? Either.left(`The condition on ${field} needs a \`value\``)
    : Either.right(undefined)
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
