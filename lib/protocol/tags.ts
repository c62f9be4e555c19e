/** The tags of a publication. Filters compare them. They are strings by their names. */
export type Tags = ReadonlyMap<string, string>

/** Bounds of the tags of one publication. Lengths are bytes of UTF-8. */
export const MAX_TAGS = { count: 16, keyBytes: 64, valueBytes: 256 } as const

// Characters that a text of such tags has at most: JSON writes a byte as up to six characters (`\u0000`).
const MAX_TEXT = MAX_TAGS.count * (6 * (MAX_TAGS.keyBytes + MAX_TAGS.valueBytes) + 6) + 2

/** Reads tags from an object of any origin. Undefined if it is not an object of strings within the bounds. */
export function tagsOf(value: unknown): Tags | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const entries = Object.entries(value)
  if (entries.length > MAX_TAGS.count || !entries.every(isTag)) return undefined
  return new Map(entries)
}

function isTag(entry: [key: string, value: unknown]): entry is [string, string] {
  const [key, value] = entry
  return isBounded(key, MAX_TAGS.keyBytes) && key !== '' && isBounded(value, MAX_TAGS.valueBytes)
}

/** A lone surrogate has no UTF-8, so it would arrive as another character. */
function isBounded(text: unknown, bytes: number): boolean {
  if (typeof text !== 'string' || text.length > bytes) return false
  return text.isWellFormed() && Buffer.byteLength(text) <= bytes
}

/** Reads tags from the JSON text of an object. Undefined if the text is not valid, or exceeds the bounds. */
export function readTags(text: string): Tags | undefined {
  if (text.length > MAX_TEXT) return undefined
  try {
    return tagsOf(JSON.parse(text))
  } catch {
    return undefined // it is not JSON
  }
}

/** The tags as the JSON text of an object, in one line. */
export function writeTags(tags: Tags): string {
  const members = Array.from(tags, ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
  return `{${members.join(',')}}`
}
