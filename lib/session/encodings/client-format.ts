import type { Format } from '../../hub/feed.ts'
import {
  bytesFraming,
  eventFraming,
  type Framing,
  lineFraming,
  type Message,
  webSocketFraming
} from '../../protocol/framing.ts'
import type { Encoding } from './encoding.ts'
import { jsonEncoding } from './json-encoding.ts'
import { protobufEncoding } from './protobuf-encoding.ts'

/** An encoding in a framing: how a client of the channel protocol receives its messages. */
export class ClientFormat {
  readonly encoding: Encoding
  readonly framing: Framing
  /** The publications of a channel. */
  readonly publications: Format
  /** The same, for clients that also receive joins and leaves. */
  readonly publicationsWithJoins: Format
  /** The publications of a channel, for clients that take deltas. */
  readonly deltas: Format
  readonly deltasWithJoins: Format
  /** The bytes of the notice that publications were dropped. */
  readonly droppedNotice: (dropped: number) => Buffer

  constructor(encoding: Encoding, framing: Framing) {
    this.encoding = encoding
    this.framing = framing
    this.publications = {
      head: encoding.publicationHead,
      encode: (head, publication) => encoding.publicationPush(head, publication, framing)
    }
    this.deltas = {
      head: encoding.publicationHead,
      encode: (head, publication) => encoding.publicationPush(head, { ...publication, delta: 'whole' }, framing),
      encodeDelta: (head, publication, delta) => encoding.publicationPush(head, { ...publication, delta }, framing)
    }
    const presence: Format['presence'] = (channel, kind, info) =>
      framing.frame(encoding.presencePush(channel, kind, info))
    this.publicationsWithJoins = { ...this.publications, presence }
    this.deltasWithJoins = { ...this.deltas, presence }
    this.droppedNotice = (dropped) => framing.frame(encoding.laggingPush(dropped))
  }

  frame(message: Message): Buffer {
    return this.framing.frame(message)
  }
}

/** JSON in text frames of a WebSocket. */
export const jsonOverWebSocket = new ClientFormat(jsonEncoding, webSocketFraming)

/** Protobuf in binary frames of a WebSocket. */
export const protobufOverWebSocket = new ClientFormat(protobufEncoding, webSocketFraming)

/** JSON in lines of an HTTP response. */
export const jsonOverLines = new ClientFormat(jsonEncoding, lineFraming)

/** JSON in an event stream. */
export const jsonOverEvents = new ClientFormat(jsonEncoding, eventFraming)

/** Protobuf in an HTTP response: one message after another, each after its length. */
export const protobufOverBytes = new ClientFormat(protobufEncoding, bytesFraming)
