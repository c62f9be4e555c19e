import type { Format } from '../../hub/feed.ts'
import { eventFraming, type Framing, lineFraming, type Message, webSocketFraming } from '../../protocol/framing.ts'
import type { Encoding } from './encoding.ts'
import { jsonEncoding } from './json-encoding.ts'

/** An encoding in a framing: how a client of the channel protocol receives its messages. */
export class ClientFormat {
  readonly encoding: Encoding
  readonly framing: Framing
  /** The publications of a channel. */
  readonly publications: Format
  /** The same, for clients that also receive joins and leaves. */
  readonly publicationsWithJoins: Format
  /** The bytes of the notice that publications were dropped. */
  readonly droppedNotice: (dropped: number) => Buffer

  constructor(encoding: Encoding, framing: Framing) {
    this.encoding = encoding
    this.framing = framing
    this.publications = {
      head: encoding.publicationHead,
      encode: (head, publication) => encoding.publicationPush(head, publication, framing)
    }
    this.publicationsWithJoins = {
      ...this.publications,
      presence: (channel, kind, info) => framing.frame(encoding.presencePush(channel, kind, info))
    }
    this.droppedNotice = (dropped) => framing.frame(encoding.laggingPush(dropped))
  }

  frame(message: Message): Buffer {
    return this.framing.frame(message)
  }
}

/** JSON in text frames of a WebSocket. */
export const jsonOverWebSocket = new ClientFormat(jsonEncoding, webSocketFraming)
/** JSON in lines of an HTTP response. */
export const jsonOverLines = new ClientFormat(jsonEncoding, lineFraming)
/** JSON in an event stream. */
export const jsonOverEvents = new ClientFormat(jsonEncoding, eventFraming)
