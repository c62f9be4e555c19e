import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'
import { responseOn } from '../dependencies.ts'

/*
 * A server may ignore a request for an upgrade to another protocol (RFC 9110 section 7.8), such as `h2c`, which Java's
 * HttpClient requests each time without TLS. Such a request is handled as a plain request.
 */

// Headers that request an upgrade, and their names in the header Connection (HTTP2-Settings: RFC 7540 section 3.2.1).
const UPGRADE_OPTIONS = new Set(['upgrade', 'http2-settings'])
// Node drops headers after this many names and values, unless the server has another limit.
const RAW_HEADERS = 2_000
const TOO_MANY_HEADERS =
  'HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

/**
 * Gives a request to the server again, with its head but without the upgrade. Node no longer uses the connection by
 * then. The bytes after the head are the request's body, or the next request.
 */
export function passAsPlain(server: Server, request: IncomingMessage, stream: Duplex, head: Buffer): void {
  if (mayBeCut(server, request)) {
    // Node may have dropped Content-Length. Without it, the body would be parsed as another request.
    stream.on('error', () => stream.destroy())
    stream.once('finish', () => stream.destroy())
    stream.end(TOO_MANY_HEADERS)
    return
  }
  stream.unshift(Buffer.concat([Buffer.from(headWithoutUpgrade(request), 'latin1'), head]))
  server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', stream)
}

/**
 * Calls back once all earlier requests on the connection are answered: a client may send a request before it has the
 * response to the last one. Never calls back if the connection ends first.
 */
export function afterAnswers(stream: Duplex, then: () => void): void {
  const response = responseOn(stream)
  if (response === undefined) {
    then()
    return
  }
  // A connection that Node no longer uses has no other listener for errors.
  const onError = () => stream.destroy()
  stream.on('error', onError)
  response.once('finish', () => {
    stream.off('error', onError)
    // The next response is assigned to the connection in a listener of the same event.
    setImmediate(() => {
      if (!stream.destroyed) afterAnswers(stream, then)
    })
  })
}

/** True if a response is assigned to the connection. */
export function isAnswered(stream: Duplex): boolean {
  return responseOn(stream) !== undefined
}

/** Detaches the response to a handshake from the connection. Otherwise the connection keeps it and the request. */
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
