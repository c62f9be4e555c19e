import { InvalidDataError } from '../errors.ts'

/**
 * A value as a JSON text. Throws `FST_RT_INVALID_DATA` for a value that JSON can't represent: a cycle, a BigInt, a
 * function, or bytes (a Buffer, a typed array, an ArrayBuffer), which would become an object of numbers.
 */
export function stringify(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw Object.assign(new InvalidDataError(), { cause })
  }
  if (text === undefined || isBytes(value) || holdsBytes(text, value)) throw new InvalidDataError()
  return text
}

function isBytes(value: unknown): boolean {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer
}

// JSON.stringify writes a Buffer or a typed array in this way. If a text contains one of these patterns, the value is
// searched for bytes. Searching every value would cost more than writing it.
const BUFFER_PATTERN = '{"type":"Buffer","data":['
const ARRAY_PATTERN = '{"0":'

function holdsBytes(text: string, value: unknown): boolean {
  if (!text.includes(ARRAY_PATTERN) && !text.includes(BUFFER_PATTERN)) return false
  let found = false
  JSON.stringify(value, function (this: Record<string, unknown>, key, written) {
    // The original value, not the result of its toJSON.
    found ||= isBytes(this[key])
    return written
  })
  return found
}
