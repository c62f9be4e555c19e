// Maximum bytes of a client's text in a log line or an error message: enough to recognise the text.
const MAX_BYTES = 256

/** The text of a client, cut so that it takes at most `maxBytes` bytes when it is written as JSON. */
export function clipped(text: string, maxBytes = MAX_BYTES): string {
  let bytes = 0
  let end = 0
  for (const character of text) {
    bytes += costOf(character)
    if (bytes > maxBytes) return `${text.slice(0, end)}…`
    end += character.length
  }
  return text
}

/** The value, or its JSON cut to `maxBytes` bytes if that is longer. Throws for a value that JSON can't represent. */
export function clippedValue(value: unknown, maxBytes = MAX_BYTES): unknown {
  if (typeof value === 'string') return clipped(value, maxBytes)
  if (typeof value !== 'object' || value === null) return value
  const text = JSON.stringify(value) ?? ''
  const short = clipped(text, maxBytes)
  return short === text ? value : short
}

/** Bytes of a character in a JSON text. */
function costOf(character: string): number {
  const point = character.codePointAt(0) as number
  if (point < 0x20 || (point >= 0xd800 && point < 0xe000)) return 6
  if (character === '"' || character === '\\') return 2
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
}
