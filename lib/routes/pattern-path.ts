/*
 * Names and patterns as paths for the router, which is made for URLs: `?` and `#` end a path for it, and `%` begins an
 * escape, in static text another than in parameters. In names they are letters like all others. So each has a stand-in,
 * in names and in patterns alike: a control character, which no name can hold.
 */

const STAND_INS = { '%': '\u0001', '?': '\u0002', '#': '\u0003' } as const
type Special = keyof typeof STAND_INS
const SPECIALS = Object.keys(STAND_INS) as Special[]
const ORIGINALS = new Map<string, string>(SPECIALS.map((special) => [STAND_INS[special], special]))

const SPECIAL = /[%?#]/g
const STAND_IN = new RegExp(`[${[...ORIGINALS.keys()].join('')}]`, 'g')
const NOT_PLAIN = new RegExp(`${SPECIAL.source}|${STAND_IN.source}`)
const UNNAMEABLE = /[\p{Cc}\p{Cs}]/u
const PARAM_NAME = /^[\p{ID_Continue}$]+$/u
// One letter of a regular expression: by its number, behind a backslash, or as it is.
const LETTER = String.raw`\\x[\da-f]{2}|\\u[\da-f]{4}|\\[^]|[^\\]`
const REGEXP_PARTS = new RegExp(String.raw`\[(?:\\[^]|[^\]\\])*\]|${LETTER}`, 'gi')
const CLASS_PARTS = new RegExp(`(${LETTER})(?:-(${LETTER}))?`, 'gi')

/** True for a text, as most are, that is the same in a path. */
export function isPlain(text: string): boolean {
  return !NOT_PLAIN.test(text)
}

/** A name as a path. A leading slash of its own stays: it makes two. */
export function namePath(name: string): string {
  return `/${encoded(name)}`
}

/** What stands in a path for part of a name, as it is in the name. */
export function original(text: string): string {
  return text.replace(STAND_IN, (standIn) => ORIGINALS.get(standIn) as string)
}

/**
 * A pattern as a path, in the router's own syntax: `:param`, `:param(regexp)`, `/:param?` at the end, `*` at the end,
 * `::` for a colon. Throws, with how to mend it, where it means something that no name could match.
 */
export function patternPath(pattern: string): string {
  if (UNNAMEABLE.test(pattern)) throw new Error('no name has control characters in it')
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
 * A pattern with its parameters filled in. Whether that is a name of the pattern is for the router to say: a parameter
 * that is missing or holds a slash makes another name.
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
  /** As part of a path. */
  readonly text: string
  /** How many characters of the pattern it takes. */
  readonly length: number
  /** Undefined for a colon that is one. */
  readonly param?: string
  readonly optional?: boolean
}

/** What a colon begins. */
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

/** Where the router takes a regular expression to end. Past the pattern where it doesn't; the router says so. */
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

/** A regular expression that takes the stand-ins for what they stand for. */
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

/** The letter that is meant; none by `\d` and its like. */
function letterOf(part: string): string {
  if (!part.startsWith('\\')) return part
  if (part.length > 2) return String.fromCharCode(Number.parseInt(part.slice(2), 16))
  return part.slice(1).replace(/\w/, '')
}

function encoded(text: string): string {
  return isPlain(text) ? text : text.replace(SPECIAL, (special) => STAND_INS[special as Special])
}
