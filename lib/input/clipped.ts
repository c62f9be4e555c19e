// Bytes of a client's text in a log line or an error message: enough to know what it was.
const MOST = 256

/** A client's text as something that may hold so many bytes once it is written as JSON; cut where it is longer. */
export function clipped(text: string, most = MOST): string {
  let bytes = 0
  let end = 0
  for (const character of text) {
    bytes += costOf(character)
    if (bytes > most) return `${text.slice(0, end)}…`
    end += character.length
  }
  return text
}

/** A value of whatever kind, or what fits of its JSON. Throws for what JSON can't say. */
export function clippedValue(value: unknown, most = MOST): unknown {
  if (typeof value === 'string') return clipped(value, most)
  if (typeof value !== 'object' || value === null) return value
  const text = JSON.stringify(value) ?? ''
  const short = clipped(text, most)
  return short === text ? value : short
}

/** Bytes of a character in a JSON text. */
function costOf(character: string): number {
  const point = character.codePointAt(0) as number
  if (point < 0x20 || (point >= 0xd800 && point < 0xe000)) return 6
  if (character === '"' || character === '\\') return 2
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
}
