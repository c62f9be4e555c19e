/** Maximum length of a channel name, in bytes of UTF-8. */
export const MAX_CHANNEL_BYTES = 255

// Control characters (C0, DEL, C1), and lone surrogates. UTF-8 cannot encode those, so two names would become equal.
const FORBIDDEN = /[\p{Cc}\p{Cs}]/u

/**
 * True for a valid channel name: 1 to 255 bytes of UTF-8, no control characters, no lone surrogates. All other
 * characters are allowed, including `*`, `{` and `:`. A name is never used as a pattern, and keys are built so that two
 * names never have the same key.
 */
export function isChannelName(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= MAX_CHANNEL_BYTES &&
    !FORBIDDEN.test(value) &&
    (value.length * 3 <= MAX_CHANNEL_BYTES || utf8Length(value) <= MAX_CHANNEL_BYTES)
  )
}

function utf8Length(text: string): number {
  let bytes = 0
  for (const character of text) {
    const point = character.codePointAt(0) as number
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
  }
  return bytes
}
