import { isUint8Array } from 'node:util/types'
import { InvalidBytesError, PublicationTooLargeError } from '../errors.ts'
import { stringify } from './stringify.ts'

/*
 * The data of a publication for a broker, at most `maxBytes` bytes. Every way of publishing calls one of these
 * functions. They throw `FST_RT_PUBLICATION_TOO_LARGE`.
 */

/** The data of a publication that is a JSON text, in UTF-8. */
export function publicationData(text: string, maxBytes: number): Buffer {
  // A character takes at least one byte, so a text with too many characters is refused without encoding it.
  const data = text.length <= maxBytes ? Buffer.from(text) : undefined
  if (data === undefined || data.length > maxBytes) throw new PublicationTooLargeError()
  return data
}

/**
 * The data that the application gives for a publication. Throws `FST_RT_INVALID_BYTES` and `FST_RT_INVALID_DATA`.
 * @param binary The channel takes bytes. They are copied: the application may change them after the call.
 */
export function givenData(data: unknown, binary: boolean, maxBytes: number): Buffer {
  if (!binary) return publicationData(stringify(data), maxBytes)
  if (!isUint8Array(data)) throw new InvalidBytesError()
  if (data.length > maxBytes) throw new PublicationTooLargeError()
  return Buffer.from(data)
}
