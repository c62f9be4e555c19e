import { isUtf8 } from 'node:buffer'
import { readTags, writeTags } from '../../protocol/tags.ts'
import type { BrokerPublishOptions, PresenceEventKind, Publication } from '../broker.ts'
import { withRest } from '../with-rest.ts'
import type { StreamLink } from './witness.ts'

/*
 * The format of the messages that nodes send to each other over pub/sub. publish.lua writes the same format.
 *
 *   publication = ( "1" / "2" ) "p" offset [ "-" at "-" previous ] "," epoch "," time *field ":" *value data
 *   presence    = "1" ( "j" / "l" ) *field ":" *value info          j: join, l: leave
 *   removal     = "1r" *field ":" *value                            the channel's history was deleted
 *   field       = "," letter length
 *
 * The first byte is the version, the second is the kind. Each field gives the length of a value in bytes. The values
 * follow the colon in the order of their fields. The rest of the message is `data` or `info`: one JSON text in one
 * line. In a publication of version 2, `data` is any bytes. If the offset is 0, the epoch is empty, and the publication
 * has no position. A publication with a position has the time at which Redis added it (`at`, milliseconds by Redis's
 * clock) and the time at which Redis added the publication before it (`previous`, 0 if there was none): see witness.ts.
 * A publication may have the fields `i`, the publisher's info (JSON), `x`, the id of the connection that does not receive
 * the publication, and `t`, its tags (a JSON object of strings).
 *
 * How to extend the format: a reader skips fields that it does not know. So a new part that an older node may ignore
 * (as tags are) becomes a field. A new part that an older node would misread (bytes, a delta) needs a new version. A
 * message has the lowest version that its reader must know, so during a deploy older nodes drop only messages that they
 * could not deliver correctly.
 *
 * Any program with access to Redis can publish here. So everything is checked, except what would require parsing the
 * payload: see SECURITY.md.
 */

const VERSION = '1'
const BYTES_VERSION = '2'

/** Larger messages are dropped. A publication of this size would exceed the bytes that may wait for a slow reader. */
export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024

// A number has only one valid spelling. The bounds limit how far the expressions scan a message of another program.
const MAX_FIELDS = 16
const FIELDS = `((?:,[a-z](?:0|[1-9]\\d{0,7})){0,${MAX_FIELDS}}):`
const NUMBER = '(0|[1-9]\\d{0,15})'
const PUBLICATION = new RegExp(`^([12])p${NUMBER}(?:-${NUMBER}-${NUMBER})?,([\\w.-]{0,64}),${NUMBER}${FIELDS}`)
const EVENT = new RegExp(`^${VERSION}([jlr])${FIELDS}`)
const FIELD = /,([a-z])(\d+)/g
const MAX_HEADER = 2 + 3 * 17 + 64 + 1 + 16 + MAX_FIELDS * 10 + 1
const MAX_TIME = 8_640_000_000_000_000
const MAX_ID = 64
const NONE = Buffer.alloc(0)

const HEADERS: Record<PresenceEventKind, Buffer> = {
  join: Buffer.from(`${VERSION}j:`),
  leave: Buffer.from(`${VERSION}l:`)
}

/** Writes a publication that has no position, because it is not kept in history. */
export function writePublication(
  data: Buffer,
  time: number,
  options: Pick<BrokerPublishOptions, 'info' | 'except' | 'tags' | 'binary'> = {}
): Buffer {
  const { info = NONE, except = '', tags, binary = false } = options
  const tagged = tags === undefined ? NONE : Buffer.from(writeTags(tags))
  const fields = `${lengthOf('i', info)}${lengthOf('x', except)}${lengthOf('t', tagged)}`
  const header = `${binary ? BYTES_VERSION : VERSION}p0,,${time}${fields}:`
  return Buffer.concat([Buffer.from(header), info, Buffer.from(except), tagged, data])
}

function lengthOf(letter: string, { length }: { readonly length: number }): string {
  return length === 0 ? '' : `,${letter}${length}`
}

export function writePresence(kind: PresenceEventKind, info: Buffer): Buffer {
  return Buffer.concat([HEADERS[kind], info])
}

/** The message for a channel whose history was deleted. */
export const REMOVAL = `${VERSION}r:`

export type Envelope =
  | { readonly kind: 'publication'; readonly publication: Publication; readonly link: StreamLink | undefined }
  | { readonly kind: PresenceEventKind; readonly info: Buffer }
  | { readonly kind: 'removal' }

/**
 * Reads a message. The parts are views of the message, not copies. Returns undefined if the message is malformed or too
 * large, or if this node does not know its version or kind.
 */
export function readEnvelope(message: Buffer): Envelope | undefined {
  if (message.length > MAX_MESSAGE_BYTES) return undefined
  const start = message.toString('latin1', 0, MAX_HEADER)
  const publication = PUBLICATION.exec(start)
  if (publication !== null) return readPublication(message, publication)
  const event = EVENT.exec(start)
  return event === null ? undefined : readEvent(message, event)
}

function readPublication(message: Buffer, header: RegExpExecArray): Envelope | undefined {
  const [{ length }, version, offsetText, atText, previousText, epoch = '', timeText, fields = ''] = header
  const offset = Number(offsetText)
  const time = Number(timeText)
  const hasPosition = offset > 0
  if (!Number.isSafeInteger(offset) || time > MAX_TIME || hasPosition !== (epoch !== '')) return undefined
  if (atText !== undefined && !hasPosition) return undefined
  const link = atText === undefined ? undefined : { at: Number(atText), previous: Number(previousText) }
  const values = fields === '' ? undefined : readValues(message, length, fields)
  if (fields !== '' && values === undefined) return undefined
  const data = values?.rest ?? message.subarray(length)
  const info = values?.found.get('i')
  const except = values?.found.get('x')
  const binary = version === BYTES_VERSION
  if (!(binary || isJsonLine(data)) || !(info === undefined || isJsonLine(info))) return undefined
  const publication = { offset, epoch, time, data, info }
  const tagged = values?.found.get('t')
  const tags = tagged && readTags(tagged.toString())
  if ((except !== undefined && except.length > MAX_ID) || (tagged !== undefined && tags === undefined)) return undefined
  const rest = { except: except?.toString('latin1'), tags, binary }
  return { kind: 'publication', publication: withRest(publication, rest), link }
}

function readEvent(message: Buffer, header: RegExpExecArray): Envelope | undefined {
  const [{ length }, kind, fields = ''] = header
  const values = readValues(message, length, fields)
  if (values === undefined) return undefined
  if (kind === 'r') return values.rest.length === 0 ? { kind: 'removal' } : undefined
  if (!isJsonLine(values.rest)) return undefined
  return { kind: kind === 'j' ? 'join' : 'leave', info: values.rest }
}

/** The values by the letters of their fields, and the rest of the message. Undefined if the message is too short. */
function readValues(message: Buffer, from: number, fields: string) {
  const found = new Map<string, Buffer>()
  let at = from
  for (const [, letter = '', length] of fields.matchAll(FIELD)) {
    const end = at + Number(length)
    if (end > message.length || found.has(letter)) return undefined
    found.set(letter, message.subarray(at, end))
    at = end
  }
  return { found, rest: message.subarray(at) }
}

const LINE_FEED = 0x0a
/** The kinds of JSON values (a number for each) by their first byte, and by their last byte. */
const FIRST_BYTES = kindsByByte('{', '[', '"', '-0123456789', 'tf', 'n')
const LAST_BYTES = kindsByByte('}', ']', '"', '0123456789', 'e', 'l')

/**
 * True if the text may be one JSON text in one line. The text is not parsed, because this runs for every publication.
 * The check refuses texts that would break a connection with several channels: a line feed ends a reply of the channel
 * protocol, and bytes that are not UTF-8 make a client close the connection.
 */
function isJsonLine(text: Buffer): boolean {
  const kind = FIRST_BYTES[text[0] as number]
  if (!kind || kind !== LAST_BYTES[text[text.length - 1] as number]) return false
  return !text.includes(LINE_FEED) && isUtf8(text)
}

function kindsByByte(...kinds: string[]): Uint8Array {
  const table = new Uint8Array(256)
  for (const [index, characters] of kinds.entries()) for (const byte of Buffer.from(characters)) table[byte] = index + 1
  return table
}
