import { PublicationTooLargeError } from '../errors.ts'

/**
 * The data of a publication for a broker: a JSON text in UTF-8 of at most `maxBytes` bytes. Throws
 * `FST_RT_PUBLICATION_TOO_LARGE` if it is larger. Every way of publishing calls this function.
 */
export function publicationData(text: string, maxBytes: number): Buffer {
  // A character takes at least one byte, so a text with too many characters is refused without encoding it.
  const data = text.length <= maxBytes ? Buffer.from(text) : undefined
  if (data === undefined || data.length > maxBytes) throw new PublicationTooLargeError()
  return data
}
