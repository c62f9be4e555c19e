import { InvalidDataError } from '../errors.ts'

/**
 * A value as a JSON text. Throws `FST_RT_INVALID_DATA` for what JSON can't say: a cycle, a BigInt, a function, bytes (a
 * Buffer, a typed array, an ArrayBuffer), which would become an object of numbers that nobody wants.
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

// How JSON.stringify writes a Buffer and a typed array. Few other texts hold one of these, and for those few the value
// is walked again; to walk each value would cost more than writing it.
const TRACES = ['{"type":"Buffer","data":[', '{"0":']

function holdsBytes(text: string, value: unknown): boolean {
  if (!TRACES.some((trace) => text.includes(trace))) return false
  let found = false
  JSON.stringify(value, function (this: Record<string, unknown>, key, written) {
    // What stands there, not what its toJSON made of it.
    found ||= isBytes(this[key])
    return written
  })
  return found
}
