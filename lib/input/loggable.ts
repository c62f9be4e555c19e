import { clipped, clippedValue } from './clipped.ts'
import { readable } from './thrown.ts'

// Maximum depth of causes, and maximum characters of a stack after its message.
const MAX_DEPTH = 3
const MAX_FRAMES = 4_096
// Maximum number of members of an error, and of errors in an AggregateError. There may be one for each item that a
// client sent.
const MAX_MEMBERS = 24
const MAX_ERRORS = 4

/** A value that loggers treat as an error. It may be from another realm (node:vm), so `instanceof` is not enough. */
type ErrorLike = Error & { readonly errors?: unknown }

/**
 * Converts a value that an application's code threw, so that it can be logged. It may quote a client's message, which
 * may be large. Only this function bounds how much of it is logged. A value that is short enough is returned unchanged.
 */
export function loggable(thrown: unknown, depth = MAX_DEPTH): unknown {
  const error = readable(thrown)
  try {
    return isErrorLike(error) ? boundedError(error, depth) : clippedValue(error)
  } catch {
    return new Error('Something was thrown that cannot be written')
  }
}

function isErrorLike(value: unknown): value is ErrorLike {
  return value instanceof Error || typeof Object(value).message === 'string'
}

function boundedError(error: ErrorLike, depth: number): unknown {
  const members = membersOf(error)
  const short = members
    .slice(0, MAX_MEMBERS)
    .map(([name, value]) => [clipped(name), clippedDetail(value, depth)] as const)
  const hidden: Record<string, unknown> = {
    message: clipped(error.message),
    cause: clippedDetail(causeOf(error), depth),
    errors: clippedErrors(error.errors, depth),
    stack: clippedStack(error)
  }
  const isShort = members.every(([name, value], at) => name === short[at]?.[0] && value === short[at]?.[1])
  if (isShort && Object.keys(hidden).every((key) => hidden[key] === Reflect.get(error, key))) return error
  // The copy has the same class, because the name of the class is logged.
  const copy = Object.create(Object.getPrototypeOf(error), Object.getOwnPropertyDescriptors(Object.fromEntries(short)))
  for (const [key, value] of Object.entries(hidden)) Object.defineProperty(copy, key, { value, enumerable: false })
  return copy
}

/** The enumerable members, including inherited ones, because loggers write those too. */
function membersOf(error: object): [name: string, value: unknown][] {
  const members: [string, unknown][] = []
  for (const name in error) members.push([name, Reflect.get(error, name)])
  return members
}

/** The cause of an error. In some libraries `cause` is a method; it is left out, because loggers would call it. */
function causeOf({ cause }: Error): unknown {
  return typeof cause === 'function' ? undefined : cause
}

/** The errors of an AggregateError. */
function clippedErrors(errors: unknown, depth: number): unknown {
  if (!Array.isArray(errors)) return errors
  const short = errors.slice(0, MAX_ERRORS).map((error) => clippedDetail(error, depth))
  return short.length === errors.length && short.every((error, at) => error === errors[at]) ? errors : short
}

function clippedStack({ name, message, stack }: Error): string | undefined {
  if (stack === undefined) return undefined
  const at = stack.indexOf('\n    at ')
  const head = at < 0 ? stack : stack.slice(0, at)
  const frames = at < 0 ? '' : stack.slice(at, at + MAX_FRAMES)
  // The stack begins with the message that the error had when the stack was created.
  const isShort = clipped(head) === head && head.length + frames.length === stack.length
  return isShort ? stack : `${clipped(name)}: ${clipped(message)}${frames}`
}

function clippedDetail(value: unknown, depth: number): unknown {
  if (!isErrorLike(value)) return clippedValue(value)
  return depth === 0 ? clipped(value.message) : loggable(value, depth - 1)
}
