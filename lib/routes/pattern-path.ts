/*
 * Converts channel names and patterns to paths for the router. The router is made for URLs: `?` and `#` end a path, and
 * `%` begins an escape, which is decoded differently in static text and in parameters. In channel names these
 * characters have no special meaning. So each of them is replaced with a stand-in, in names and in patterns: a control
 * character, which no name can contain.
 */

const STAND_INS = { '%': '\u0001', '?': '\u0002', '#': '\u0003' } as const
type Special = keyof typeof STAND_INS
const SPECIALS = Object.keys(STAND_INS) as Special[]
const ORIGINALS = new Map<string, string>(SPECIALS.map((special) => [STAND_INS[special], special]))

const SPECIAL = /[%?#]/g
const STAND_IN = new RegExp(`[${[...ORIGINALS.keys()].join('')}]`, 'g')
const NOT_PLAIN = new RegExp(`${SPECIAL.source}|${STAND_IN.source}`)
const FORBIDDEN = /[\p{Cc}\p{Cs}]/u
const PARAM_NAME = /^[\p{ID_Continue}$]+$/u
// One character of a regular expression: with its number, with a backslash, or as it is.
const LETTER = String.raw`\\x[\da-f]{2}|\\u[\da-f]{4}|\\[^]|[^\\]`
const REGEXP_PARTS = new RegExp(String.raw`\[(?:\\[^]|[^\]\\])*\]|${LETTER}`, 'gi')
const CLASS_PARTS = new RegExp(`(${LETTER})(?:-(${LETTER}))?`, 'gi')

/** True if a text contains no special characters, so that it is the same in a path. This is the case for most names. */
export function isPlain(text: string): boolean {
  return !NOT_PLAIN.test(text)
}

/** The path of a name. If the name begins with a slash, the path begins with two. */
export function namePath(name: string): string {
  return `/${encoded(name)}`
}

/** Converts a part of a path back to the text in the name. */
export function original(text: string): string {
  return text.replace(STAND_IN, (standIn) => ORIGINALS.get(standIn) as string)
}

/**
 * The path of a pattern, in the router's syntax: `:param`, `:param(regexp)`, `/:param?` at the end, `*` at the end,
 * `::` for a colon. Throws an error that says how to fix the pattern if no name could match it.
 */
export function patternPath(pattern: string): string {
  if (FORBIDDEN.test(pattern)) throw new Error('no name has control characters in it')
  let path = '/'
  let at = 0
  while (at < pattern.length) {
    const colon = pattern.indexOf(':', at)
    const end = colon === -1 ? pattern.length : colon
    path += encoded(pattern.slice(at, end))
    if (colon === -1) break
    const { text, length } = colonPart(pattern, colon)
    path += text
    at = end + length
  }
  return path
}

/**
 * Replaces the parameters of a pattern with their values. The caller must check with the router that the result matches
 * the pattern: it does not if a parameter is missing or contains a slash.
 */
export function fillPattern(pattern: string, params: Readonly<Record<string, unknown>>): string {
  let name = ''
  let at = 0
  while (at < pattern.length) {
    const colon = pattern.indexOf(':', at)
    const end = colon === -1 ? pattern.length : colon
    name += pattern.slice(at, end)
    if (colon === -1) break
    const { text, length, param, optional } = colonPart(pattern, colon)
    at = end + length
    if (param === undefined) name += text.slice(1)
    else if (params[param] !== undefined) name += String(params[param])
    else if (optional) name = name.slice(0, -1)
  }
  return pattern.endsWith('*') ? name.slice(0, -1) + String(params['*'] ?? '') : name
}

interface ColonPart {
  /** The part in the form of a path. */
  readonly text: string
  /** The length of the part in the pattern, in characters. */
  readonly length: number
  /** The name of the parameter. Undefined for an escaped colon. */
  readonly param?: string
  readonly optional?: boolean
}

/** The part of a pattern that begins with a colon. */
function colonPart(pattern: string, colon: number): ColonPart {
  if (pattern[colon + 1] === ':') return { text: '::', length: 2 }
  const [written = ''] = /^[^(\-./]*/.exec(pattern.slice(colon + 1)) as RegExpExecArray
  const begins = colon === 0 || pattern[colon - 1] === '/'
  const name = begins && written.endsWith('?') ? written.slice(0, -1) : written
  if (!PARAM_NAME.test(name)) {
    throw new Error(`:${written} is no parameter: write its name of letters, digits and _, and :: for a colon`)
  }
  const regexp = colon + 1 + written.length
  if (pattern[regexp] !== '(') {
    return { text: `:${written}`, length: 1 + written.length, param: name, optional: name !== written }
  }
  const end = endOfRegexp(pattern, regexp)
  if (pattern[end] === '?') {
    throw new Error(`:${name} has a regular expression, and can't be optional: declare a pattern with it, one without`)
  }
  return { text: `:${written}${regexpFor(pattern.slice(regexp, end))}`, length: end - colon, param: name }
}

/** The end of a regular expression, by the rules of the router. The end of the pattern if it is not closed. */
function endOfRegexp(pattern: string, start: number): number {
  let depth = 0
  for (let at = start; at < pattern.length; at++) {
    const letter = pattern[at]
    if (letter === '\\') at++
    else if (letter === '(') depth++
    else if (letter === ')' && --depth === 0) return at + 1
  }
  return pattern.length
}

/** Converts a regular expression, so that it matches the stand-ins like the characters that they replace. */
function regexpFor(text: string): string {
  return text.replace(REGEXP_PARTS, (part) => {
    if (part.startsWith('[')) return `[${part.slice(1, -1).replace(CLASS_PARTS, classPartFor)}]`
    return part === '?' ? part : standInFor(part)
  })
}

function classPartFor(part: string, first: string, last: string | undefined): string {
  if (last === undefined) return standInFor(part)
  const [from, to] = [letterOf(first).charCodeAt(0), letterOf(last).charCodeAt(0)]
  const within = SPECIALS.filter((special) => from <= special.charCodeAt(0) && special.charCodeAt(0) <= to)
  return part + within.map((special) => STAND_INS[special]).join('')
}

function standInFor(part: string): string {
  return STAND_INS[letterOf(part) as Special] ?? part
}

/** The character that a part matches. Empty for classes such as `\d`. */
function letterOf(part: string): string {
  if (!part.startsWith('\\')) return part
  if (part.length > 2) return String.fromCharCode(Number.parseInt(part.slice(2), 16))
  return part.slice(1).replace(/\w/, '')
}

function encoded(text: string): string {
  return isPlain(text) ? text : text.replace(SPECIAL, (special) => STAND_INS[special as Special])
}
