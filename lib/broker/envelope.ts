import type { PresenceEventKind, Publication } from './broker.ts'

/*
 * What goes over pub/sub, in bytes: one letter for the kind, then
 *
 *   p<offset>,<epoch>,<time>,<length of info>,<info><data>   a publication (publish.lua writes the same)
 *   j<info>   l<info>                                        who came, who went
 *
 * Numbers are decimal digits, an epoch has no comma. Nothing is parsed beyond the header.
 */

const PUBLICATION = 0x70
const JOIN = 0x6a
const LEAVE = 0x6c
const COMMA = 0x2c

const KINDS: Record<PresenceEventKind, Buffer> = { join: Buffer.from('j'), leave: Buffer.from('l') }

/** A publication that has no position: one without history. */
export function writePublication(data: Buffer, time: number, info?: Buffer): Buffer {
  const header = Buffer.from(`p0,,${time},${info?.length ?? 0},`)
  return Buffer.concat(info ? [header, info, data] : [header, data])
}

export function writePresence(kind: PresenceEventKind, info: Buffer): Buffer {
  return Buffer.concat([KINDS[kind], info])
}

/** What a message was. `undefined` for what this version doesn't know: a newer node may have sent it. */
export type Envelope =
  | { readonly kind: 'publication'; readonly publication: Publication }
  | { readonly kind: PresenceEventKind; readonly info: Buffer }

/** The parts are views of `message`, not copies. */
export function readEnvelope(message: Buffer): Envelope | undefined {
  switch (message[0]) {
    case PUBLICATION:
      return { kind: 'publication', publication: readPublication(message) }
    case JOIN:
      return { kind: 'join', info: message.subarray(1) }
    case LEAVE:
      return { kind: 'leave', info: message.subarray(1) }
  }
}

function readPublication(message: Buffer): Publication {
  const afterOffset = message.indexOf(COMMA, 1)
  const afterEpoch = message.indexOf(COMMA, afterOffset + 1)
  const afterTime = message.indexOf(COMMA, afterEpoch + 1)
  const afterLength = message.indexOf(COMMA, afterTime + 1)
  const start = afterLength + 1
  const length = Number(message.toString('latin1', afterTime + 1, afterLength))
  return {
    offset: Number(message.toString('latin1', 1, afterOffset)),
    epoch: message.toString('latin1', afterOffset + 1, afterEpoch),
    time: Number(message.toString('latin1', afterEpoch + 1, afterTime)),
    data: message.subarray(start + length),
    info: length === 0 ? undefined : message.subarray(start, start + length)
  }
}
