import { InvalidDataError } from '../errors.ts'

/** A value as a JSON text. Throws `FST_RT_INVALID_DATA` for what JSON can't say: a cycle, a BigInt, a function. */
export function stringify(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw Object.assign(new InvalidDataError(), { cause })
  }
  if (text === undefined) throw new InvalidDataError()
  return text
}
