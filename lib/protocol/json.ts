/** Checks of JSON texts that `JSON.parse` does not make. */

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

/** True if arrays and objects are nested more than `limit` levels. Linear time, no allocation, no recursion. */
export function isDeeperThan(text: string, limit: number): boolean {
  if (!hasMoreOpenings(text, limit)) return false
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

/** True if a text has more than `limit` opening braces and brackets. Most messages have a few: no more is checked. */
function hasMoreOpenings(text: string, limit: number): boolean {
  let left = limit
  for (let at = text.indexOf('{'); at >= 0; at = text.indexOf('{', at + 1)) if (left-- === 0) return true
  for (let at = text.indexOf('['); at >= 0; at = text.indexOf('[', at + 1)) if (left-- === 0) return true
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

// A value can be unportable only if its text has one of these: an escaped surrogate, an exponent of three digits, or
// 209 digits, which an exponent of two digits can raise past 1e308. These are three expressions, because most texts
// need none of them. A single expression took a fifth of the time of parsing. MANY_DIGITS names the character before
// the digits, so that each run of digits is examined once, and fractions are skipped.
const SURROGATE = /\\u[dD][89a-fA-F]/
const EXPONENT = /\d[eE]\+?\d{3}/
const MANY_DIGITS = /(?:^|[^\d.])\d{209}/

function isSuspect(text: string): boolean {
  if (text.includes('\\u') && SURROGATE.test(text)) return true
  return EXPONENT.test(text) || (text.length > 208 && MANY_DIGITS.test(text))
}

// A number of fifteen digits is always within 2^53. Most texts do not contain sixteen digits in a row.
const LONG_NUMBER = 16
const WHOLE_NUMBER = /^-?\d+(?:\.0*)?$/

/**
 * True if the text contains a whole number beyond 2^53. A double cannot represent all of these, so the parsed value may
 * silently be another number. The text must be valid JSON.
 */
export function hasUnsafeInteger(text: string): boolean {
  if (!hasLongNumber(text)) return false
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

/**
 * True if the text has sixteen digits in a row. Such digits cover one of the places that are sixteen apart, so only these
 * places are examined. A regular expression would examine each character.
 */
function hasLongNumber(text: string): boolean {
  for (let place = LONG_NUMBER - 1; place < text.length; place += LONG_NUMBER) {
    let start = place
    while (isDigit(text.charCodeAt(start))) start--
    if (start === place) continue
    let end = place + 1
    while (isDigit(text.charCodeAt(end))) end++
    if (end - start > LONG_NUMBER) return true
  }
  return false
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE
}

/** A digit, `+`, `-`, `.`, `e` or `E`. Outside of strings these occur only in numbers, and in `true` and `false`. */
function isNumberPart(code: number): boolean {
  return isDigit(code) || code === MINUS || code === POINT || code === PLUS || (code | 0x20) === SMALL_E
}

/**
 * True if the parsed value cannot be written as JSON again without a change: an escaped lone surrogate (not valid
 * Unicode), or a number beyond the range of a double (`1e999` parses as Infinity, which is written as null). The text
 * must not be nested more than a few hundred levels.
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
