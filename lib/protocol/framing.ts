import { dataFrame, textFrame, wrappedTextFrame } from './frame.ts'

/** A message of the server in its encoding: a JSON text, or bytes. */
export type Message = string | Buffer

/** How messages are put on a stream, one after another. */
export interface Framing {
  /** The message's bytes on the stream. */
  frame(message: Message): Buffer
  /** The bytes of the message `before` + `data` + `after`. Each of them is copied only once. */
  wrap(before: string, data: Buffer, after: string): Buffer
}

/** A text frame of a WebSocket for each JSON text, a binary frame for each message of bytes. */
export const webSocketFraming: Framing = {
  frame: (message) => (typeof message === 'string' ? textFrame(message) : dataFrame(message, true)),
  wrap: wrappedTextFrame
}
