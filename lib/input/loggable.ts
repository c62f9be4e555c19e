import { clipped, clippedValue } from './clipped.ts'
import { readable } from './thrown.ts'

// Causes of causes that are looked at, and characters of a stack behind its message.
const MAX_DEPTH = 3
const MAX_FRAMES = 4_096
// Members of an error, and errors in an AggregateError: one for each item that a client sent would be as many as it likes.
const MAX_MEMBERS = 24
const MAX_ERRORS = 4

/** What loggers take for an error. It may come from another realm, as errors in node:vm do, and be no instance of ours. */
type ErrorLike = Error & { readonly errors?: unknown }

/**
 * What an application's code threw, as a log line may hold it. It may quote what a client sent, which may be as large as
 * a message: here is the one place that bounds what of it is logged. What is short enough is left as it is.
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
  // Of the same class, whose name is logged.
  const copy = Object.create(Object.getPrototypeOf(error), Object.getOwnPropertyDescriptors(Object.fromEntries(short)))
  for (const [key, value] of Object.entries(hidden)) Object.defineProperty(copy, key, { value, enumerable: false })
  return copy
}

/** With what is inherited, which loggers write too. */
function membersOf(error: object): [name: string, value: unknown][] {
  const members: [string, unknown][] = []
  for (const name in error) members.push([name, Reflect.get(error, name)])
  return members
}

/** Some libraries have a method for it, which loggers call. */
function causeOf({ cause }: Error): unknown {
  return typeof cause === 'function' ? undefined : cause
}

/** An AggregateError's errors. */
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
  // What its message was when the stack was written stands there too.
  const isShort = clipped(head) === head && head.length + frames.length === stack.length
  return isShort ? stack : `${clipped(name)}: ${clipped(message)}${frames}`
}

function clippedDetail(value: unknown, depth: number): unknown {
  if (!isErrorLike(value)) return clippedValue(value)
  return depth === 0 ? clipped(value.message) : loggable(value, depth - 1)
}
