/**
 * Finds the text of a member within a JSON text, so that a payload is passed on unchanged. Parsing it and writing it
 * again would change numbers (1.0, or integers beyond 2⁵³).
 */

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const COMMA = 0x2c
const SPACE = 0x20

/**
 * The text of the member at a path of keys, or undefined if there is none. If several members have the same name, the
 * last one counts, as with `JSON.parse`. The text must be valid JSON, which is not checked.
 */
export function rawMember(text: string, path: readonly string[]): string | undefined {
  let start = skipSpace(text, 0)
  let end = endOfValue(text, start)
  for (const key of path) {
    const found = memberOf(text, start, key)
    if (found === undefined) return undefined
    ;[start, end] = found
  }
  return text.slice(start, end)
}

function memberOf(text: string, object: number, key: string): [start: number, end: number] | undefined {
  if (text.charCodeAt(object) !== OPEN_BRACE) return undefined
  let found: [number, number] | undefined
  let at = skipSpace(text, object + 1)
  while (text.charCodeAt(at) !== CLOSE_BRACE) {
    const endOfKey = endOfString(text, at)
    const isMatch = JSON.parse(text.slice(at, endOfKey)) === key
    const colon = skipSpace(text, endOfKey)
    at = skipSpace(text, colon + 1)
    const end = endOfValue(text, at)
    if (isMatch) found = [at, end]
    at = skipSpace(text, end)
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1)
  }
  return found
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (text.charCodeAt(at) <= SPACE) at++
  return at
}

/** The index after the value that starts at `start`. */
function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start)
  if (first === QUOTE) return endOfString(text, start)
  return first === OPEN_BRACE || first === OPEN_BRACKET ? endOfContainer(text, start) : endOfScalar(text, start)
}

function endOfContainer(text: string, start: number): number {
  let depth = 0
  let at = start
  do {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = endOfString(text, at)
      continue
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--
    at++
  } while (depth > 0)
  return at
}

function endOfScalar(text: string, start: number): number {
  let at = start
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || code <= SPACE) break
  }
  return at
}

function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end + 1
}

function isEscaped(text: string, at: number): boolean {
  let escapes = 0
  while (text.charCodeAt(at - 1 - escapes) === BACKSLASH) escapes++
  return escapes % 2 === 1
}
