import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'
import { responseOn } from '../dependencies.ts'

/*
 * Requests for an upgrade to another protocol (`h2c`, which Java's HttpClient asks for on every cleartext request) may be
 * ignored (RFC 9110 section 7.8): each is a plain request.
 */

// Headers, and names of headers in Connection, that ask for an upgrade (HTTP2-Settings: RFC 7540 section 3.2.1).
const UPGRADE_OPTIONS = new Set(['upgrade', 'http2-settings'])
// Node drops headers past this many, names and values counted, unless the server says another number.
const RAW_HEADERS = 2_000
const TOO_MANY_HEADERS =
  'HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

/**
 * Hands a request in once more, with its head as it would be without the upgrade. Node has let go of the connection by
 * then. What was read past the head is the request's body, or the next request.
 */
export function passAsPlain(server: Server, request: IncomingMessage, stream: Duplex, head: Buffer): void {
  if (mayBeCut(server, request)) {
    // A length of the body that is missing would make of the body a request of its own.
    stream.on('error', () => stream.destroy())
    stream.once('finish', () => stream.destroy())
    stream.end(TOO_MANY_HEADERS)
    return
  }
  stream.unshift(Buffer.concat([Buffer.from(headWithoutUpgrade(request), 'latin1'), head]))
  server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', stream)
}

/**
 * Calls back once every request that came before on the connection is answered: a client may send the next ones
 * meanwhile. Never calls back if the connection ends first.
 */
export function afterAnswers(stream: Duplex, then: () => void): void {
  const response = responseOn(stream)
  if (response === undefined) {
    then()
    return
  }
  // Nobody else listens for errors of a connection that Node has let go of.
  const onError = () => stream.destroy()
  stream.on('error', onError)
  response.once('finish', () => {
    stream.off('error', onError)
    // The next response takes the connection in a listener of the same event.
    setImmediate(() => {
      if (!stream.destroyed) afterAnswers(stream, then)
    })
  })
}

/** True if a response is to be written to the connection. */
export function isAnswered(stream: Duplex): boolean {
  return responseOn(stream) !== undefined
}

/** Takes the response to a handshake off the connection, which would else keep it, and the request, for its life. */
export function detachResponse(stream: Duplex): void {
  responseOn(stream)?.detachSocket(stream as never)
}

function mayBeCut({ maxHeadersCount }: Server, { rawHeaders }: IncomingMessage): boolean {
  const most = typeof maxHeadersCount === 'number' ? maxHeadersCount * 2 : RAW_HEADERS
  return most > 0 && rawHeaders.length >= most
}

function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): string {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    let value = rawHeaders[i + 1] as string
    const lower = name.toLowerCase()
    if (UPGRADE_OPTIONS.has(lower)) continue
    if (lower === 'connection') value = withoutUpgrade(value)
    if (value !== '' || lower !== 'connection') text += `${name}: ${value}\r\n`
  }
  return `${text}\r\n`
}

function withoutUpgrade(connection: string): string {
  const options = connection.split(',').map((option) => option.trim())
  return options.filter((option) => !UPGRADE_OPTIONS.has(option.toLowerCase())).join(', ')
}
