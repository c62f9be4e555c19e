/** Checks on JSON texts that a parser doesn't make. */

const QUOTE = 0x22
const PLUS = 0x2b
const MINUS = 0x2d
const POINT = 0x2e
const SMALL_E = 0x65
const ZERO = 0x30
const NINE = 0x39
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** True where arrays and objects are nested more than `limit` levels. Linear, allocates nothing, doesn't recurse. */
export function isDeeperThan(text: string, limit: number): boolean {
  if (text.length <= limit) return false
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) {
      i = endOfString(text, i)
      if (i < 0) return false // an open string is a syntax error, which the parser reports
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (++depth > limit) return true
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--
  }
  return false
}

function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++
    if (escapes % 2 === 0) return end
  }
  return -1
}

// Only a text with one of these can parse to something unportable: an escaped surrogate, an exponent of three digits,
// or 209 digits, which an exponent of two can carry past 1e308. Three expressions, most of which are not even begun:
// as one they took a fifth of the time that parsing takes. What stands before a digit is named so that long runs of
// digits are looked at once, and fractions not at all.
const SURROGATE = /\\u[dD][89a-fA-F]/
const EXPONENT = /\d[eE]\+?\d{3}/
const MANY_DIGITS = /(?:^|[^\d.])\d{209}/

function isSuspect(text: string): boolean {
  if (text.includes('\\u') && SURROGATE.test(text)) return true
  return EXPONENT.test(text) || (text.length > 208 && MANY_DIGITS.test(text))
}

// Fifteen digits are within 2^53 in any case. Most texts have no sixteen in a row, outside of a string or in one.
const LONG_NUMBER = /\d{16}/
const WHOLE_NUMBER = /^-?\d+(?:\.0*)?$/

/**
 * True if a whole number beyond 2^53 is written in the text, which must be valid JSON: a double does not hold each of
 * those, so the parsed value may be another number, and nobody would notice.
 */
export function hasUnsafeInteger(text: string): boolean {
  if (!LONG_NUMBER.test(text)) return false
  let at = 0
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at) + 1
    else if (isNumberPart(code)) {
      const start = at
      while (isNumberPart(text.charCodeAt(at))) at++
      const number = text.slice(start, at)
      if (WHOLE_NUMBER.test(number) && !Number.isSafeInteger(Number(number))) return true
    } else at++
  }
  return false
}

/** A digit, `+`, `-`, `.`, `e` or `E`: outside of strings, only numbers have them, and the `e` of true and false. */
function isNumberPart(code: number): boolean {
  return (
    (code >= ZERO && code <= NINE) || code === MINUS || code === POINT || code === PLUS || (code | 0x20) === SMALL_E
  )
}

/**
 * True where the parsed value can't be written as JSON again without change: an escaped lone surrogate (which is no
 * Unicode text) or a number beyond a double (`1e999`, which parses as Infinity and stringifies as null).
 * The text must not be deeper than a few hundred levels.
 */
export function isUnportable(text: string, value: unknown): boolean {
  return isSuspect(text) && hasUnportable(value)
}

function hasUnportable(value: unknown): boolean {
  if (typeof value === 'string') return !value.isWellFormed()
  if (typeof value === 'number') return !Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(hasUnportable)
  return Object.entries(value).some(([key, inner]) => !key.isWellFormed() || hasUnportable(inner))
}
