import { dataFrame, textFrame, wrappedTextFrame } from './frame.ts'

/** A message of the server in its encoding: a JSON text, or bytes. */
export type Message = string | Buffer

/** How messages are put on a stream, one after another. */
export interface Framing {
  /** The message's bytes on the stream. */
  frame(message: Message): Buffer
  /** The bytes of the JSON text `before` + `data` + `after`. Each of them is copied only once. */
  wrap(before: string, data: Buffer, after: string): Buffer
}

/** A text frame of a WebSocket for each JSON text, a binary frame for each message of bytes. */
export const webSocketFraming: Framing = {
  frame: (message) => (typeof message === 'string' ? textFrame(message) : dataFrame(message, true)),
  wrap: wrappedTextFrame
}

/** Messages of bytes, each of which begins with its length. */
export const bytesFraming: Framing = {
  frame: (message) => message as Buffer,
  wrap: wrapped
}

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20

/** Each JSON text is a line. A message of several texts is several lines. */
export const lineFraming: Framing = {
  frame: (message) => Buffer.from(`${message}\n`),
  wrap: (before, data, after) => wrapped(before, data, `${after}\n`)
}

/**
 * Each message is an event of an event stream (HTML, section 9.2.6). The client joins the lines of an event by a line
 * feed.
 */
export const eventFraming: Framing = {
  frame: (message) => Buffer.from(`data: ${String(message).replaceAll('\r', ' ').replaceAll('\n', '\ndata: ')}\n\n`),
  wrap: (before, data, after) => wrapped(`data: ${before}`, data, `${after}\n\n`)
}

/** The text `before` + `data` + `after`, in one line. */
function wrapped(before: string, data: Buffer, after: string): Buffer {
  const length = Buffer.byteLength(before) + data.length + Buffer.byteLength(after)
  const bytes = Buffer.allocUnsafe(length)
  const start = bytes.write(before)
  bytes.set(data, start)
  // A JSON text has these characters only between its tokens. In a stream they would end the line, and what follows
  // would be read as another message.
  if (data.includes(LINE_FEED) || data.includes(CARRIAGE_RETURN)) spaceOut(bytes.subarray(start, start + data.length))
  bytes.write(after, start + data.length)
  return bytes
}

function spaceOut(text: Buffer): void {
  for (const [at, byte] of text.entries()) if (byte === LINE_FEED || byte === CARRIAGE_RETURN) text[at] = SPACE
}
