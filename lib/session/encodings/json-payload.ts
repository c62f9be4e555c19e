import { isUtf8 } from 'node:buffer'
import secureJson from 'secure-json-parse'
import { isDeeperThan, isUnportable } from '../../protocol/json.ts'

/** The checks of the JSON that clients send, in any encoding. */

// A text without any of these has no such key. JSON may write a key with escapes.
const SUSPECT = /__proto__|constructor|\\u/

/**
 * True if the application may get a value that a client sent: no key can change an object's prototype when the value is
 * copied or merged, and the value can be written as JSON again.
 */
export function isSafeJson(text: string, value: unknown): boolean {
  const hasPrototypeKey = SUSPECT.test(text) && secureJson.scan(value as object, { safe: true }) === null
  return !hasPrototypeKey && !isUnportable(text, value)
}

/** Reads a payload that has to be a JSON text. Undefined if it is not one, is nested too deeply, or is not safe. */
export function readJsonPayload(payload: Buffer, maxDepth: number): { readonly value: unknown } | undefined {
  if (!isUtf8(payload)) return undefined
  const text = payload.toString()
  if (isDeeperThan(text, maxDepth)) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined // it is not JSON; a byte order mark is not either
  }
  return isSafeJson(text, value) ? { value } : undefined
}

/**
 * Puts a JSON text on one line, because a line break ends a message of the JSON encoding. In JSON a line break is never
 * part of a string, so a space can replace it. The text is not parsed and written again: that would change large
 * numbers.
 */
export function onOneLine(text: string): string {
  return text.replace(/[\n\r]+/g, ' ')
}
