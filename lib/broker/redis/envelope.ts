import { isUtf8 } from 'node:buffer'
import type { PresenceEventKind, Publication } from '../broker.ts'
import type { StreamLink } from './witness.ts'

/*
 * The messages that nodes send each other over pub/sub. publish.lua writes the same form.
 *
 *   publication = "1p" offset [ "-" at "-" previous ] "," epoch "," time *field ":" *value data
 *   presence    = "1" ( "j" / "l" ) *field ":" *value info          j: join, l: leave
 *   removal     = "1r" *field ":" *value                            the channel's history was deleted
 *   field       = "," letter length
 *
 * The first byte is the version, the second the kind. Each field announces a value of that many bytes. The values
 * follow the colon in the order of their fields, and the rest of the message is `data` or `info`: one JSON text in one
 * line. An offset of 0 goes with an empty epoch: the publication has no position. One that has names when Redis took it
 * (`at`, milliseconds by Redis's clock) and when Redis took the publication before it (`previous`, 0 if there was none):
 * see redis-witness.ts. A publication may have the fields `i`, the publisher's info (JSON), and `x`, the id of the
 * connection that is not given it.
 *
 * How the form grows: a reader skips fields that it does not know, so what an older node may leave out (tags) becomes a
 * field. What an older node would misread (binary data, a delta) becomes a version. A message carries the lowest version
 * that its reader has to know, so during a deploy older nodes drop only what they could not pass on.
 *
 * Anybody with access to Redis can publish here, so nothing is taken on trust except what would need a parse of the
 * payload: see SECURITY.md.
 */

const VERSION = '1'

/** A larger message is not read. A publication of this size would not fit into what may wait for a reader. */
export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024

// Numbers have one spelling. The bounds keep the expressions from looking far into a message that is none of ours.
const MAX_FIELDS = 16
const FIELDS = `((?:,[a-z](?:0|[1-9]\\d{0,7})){0,${MAX_FIELDS}}):`
const NUMBER = '(0|[1-9]\\d{0,15})'
const PUBLICATION = new RegExp(`^${VERSION}p${NUMBER}(?:-${NUMBER}-${NUMBER})?,([\\w.-]{0,64}),${NUMBER}${FIELDS}`)
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

/** A publication that has no position: one without history. */
export function writePublication(data: Buffer, time: number, info: Buffer = NONE, except = ''): Buffer {
  const fields = `${info.length > 0 ? `,i${info.length}` : ''}${except === '' ? '' : `,x${except.length}`}`
  return Buffer.concat([Buffer.from(`${VERSION}p0,,${time}${fields}:`), info, Buffer.from(except), data])
}

export function writePresence(kind: PresenceEventKind, info: Buffer): Buffer {
  return Buffer.concat([HEADERS[kind], info])
}

/** A channel's history was deleted. */
export const REMOVAL = `${VERSION}r:`

export type Envelope =
  | { readonly kind: 'publication'; readonly publication: Publication; readonly link: StreamLink | undefined }
  | { readonly kind: PresenceEventKind; readonly info: Buffer }
  | { readonly kind: 'removal' }

/**
 * Reads a message; the parts are views of it, not copies. `undefined` if it is malformed, too large, or of a version
 * or a kind that this node does not know.
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
  const [{ length }, offsetText, atText, previousText, epoch = '', timeText, fields = ''] = header
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
  if (!isJsonLine(data) || !(info === undefined || isJsonLine(info))) return undefined
  const publication = { offset, epoch, time, data, info }
  if (except === undefined) return { kind: 'publication', publication, link }
  if (except.length > MAX_ID) return undefined
  return { kind: 'publication', publication: { ...publication, except: except.toString('latin1') }, link }
}

function readEvent(message: Buffer, header: RegExpExecArray): Envelope | undefined {
  const [{ length }, kind, fields = ''] = header
  const values = readValues(message, length, fields)
  if (values === undefined) return undefined
  if (kind === 'r') return values.rest.length === 0 ? { kind: 'removal' } : undefined
  if (!isJsonLine(values.rest)) return undefined
  return { kind: kind === 'j' ? 'join' : 'leave', info: values.rest }
}

/** The values by their fields' letters, and what follows them. `undefined` if they are longer than the message. */
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
/** The kinds of JSON values by the byte that they begin with, and by the byte that they end with. */
const BEGINS = kindsByByte('{', '[', '"', '-0123456789', 'tf', 'n')
const ENDS = kindsByByte('}', ']', '"', '0123456789', 'e', 'l')

/**
 * True for what may be one JSON text in one line. Not a parse: this is on the way of every publication. It keeps out
 * what would harm a connection that carries more than this channel: a line feed ends a reply of the channel protocol,
 * and bytes that are not UTF-8 make a client close.
 */
function isJsonLine(text: Buffer): boolean {
  const kind = BEGINS[text[0] as number]
  return Boolean(kind) && kind === ENDS[text[text.length - 1] as number] && !text.includes(LINE_FEED) && isUtf8(text)
}

function kindsByByte(...kinds: string[]): Uint8Array {
  const table = new Uint8Array(256)
  for (const [index, characters] of kinds.entries()) for (const byte of Buffer.from(characters)) table[byte] = index + 1
  return table
}
