import { clipped, clippedValue } from './clipped.ts'
import { readable } from './thrown.ts'

// Causes of causes that are looked at, and characters of a stack behind its message.
const MAX_DEPTH = 3
const MAX_FRAMES = 4_096

/**
 * What an application's code threw, as a log line may hold it. It may quote what a client sent, which may be as large as
 * a message: here is the one place that bounds what of it is logged. What is short enough is left as it is.
 */
export function loggable(thrown: unknown, depth = MAX_DEPTH): unknown {
  const error = readable(thrown)
  try {
    return error instanceof Error ? boundedError(error, depth) : clippedValue(error)
  } catch {
    return new Error('Something was thrown that cannot be written')
  }
}

function boundedError(error: Error, depth: number): Error {
  const details = Object.entries(error)
  const short = details.map(([name, value]) => [clipped(name), clippedDetail(value, depth)] as const)
  const message = clipped(error.message)
  const cause = clippedDetail(error.cause, depth)
  const isShort = short.every(([name, value], at) => name === details[at]?.[0] && value === details[at]?.[1])
  if (isShort && message === error.message && cause === error.cause) return error
  const { name, stack = '' } = error
  const frames = stack.slice(stack.indexOf('\n    at '), stack.length).slice(0, MAX_FRAMES)
  // Of the same class, whose name is logged.
  const copy = Object.create(Object.getPrototypeOf(error), Object.getOwnPropertyDescriptors(Object.fromEntries(short)))
  const hidden = { message, cause, stack: `${clipped(name)}: ${message}${frames}` }
  for (const [key, value] of Object.entries(hidden)) Object.defineProperty(copy, key, { value, enumerable: false })
  return copy
}

function clippedDetail(value: unknown, depth: number): unknown {
  if (!(value instanceof Error)) return clippedValue(value)
  return depth === 0 ? clipped(value.message) : loggable(value, depth - 1)
}
