import { PublicationTooLargeError } from '../errors.ts'

/**
 * The data of a publication, as a broker carries it: a JSON text in UTF-8, of at most so many bytes. Throws
 * `FST_RT_PUBLICATION_TOO_LARGE`. Every way of publishing passes here.
 */
export function publicationData(text: string, maxBytes: number): Buffer {
  // A character is a byte at least: what can't fit is not written first.
  const data = text.length <= maxBytes ? Buffer.from(text) : undefined
  if (data === undefined || data.length > maxBytes) throw new PublicationTooLargeError()
  return data
}
