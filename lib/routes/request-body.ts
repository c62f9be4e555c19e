import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { withParsersOf } from '../dependencies.ts'

// Bytes. A body is one command, or a few.
const MAX_BODY = 65_536

/** The body of a request. It may contain a token, so it shows its bytes to no log and no hook. */
export class RequestBody {
  #bytes: Buffer | undefined

  /** @param bytes Undefined if the body is too large. */
  constructor(bytes: Buffer | undefined) {
    this.#bytes = bytes
  }

  /** Takes the bytes. Undefined if the body is too large. */
  take(): Buffer | undefined {
    const bytes = this.#bytes
    this.#bytes = undefined
    return bytes
  }
}

/**
 * Makes a view of an instance. Each request at a route that is declared on it has a `RequestBody`, whatever its content
 * type. All else is as on the instance.
 */
export async function bodyScope(app: FastifyInstance): Promise<{ readonly scope: FastifyInstance }> {
  let made = app
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, payload, done) => readBody(payload, done))
    made = scope
  })
  // An instance has a method `then`, so a promise cannot resolve with it.
  return { scope: withParsersOf(app, made) }
}

/**
 * Reads a body. Fastify's own parsers answer a body that is too large with the header Connection, which HTTP/2 does not
 * allow.
 */
function readBody(payload: IncomingMessage, done: (error: Error | null, body?: RequestBody) => void): void {
  const chunks: Buffer[] = []
  let length = 0
  const onData = (chunk: Buffer) => {
    length += chunk.length
    if (length <= MAX_BODY) chunks.push(chunk)
    else end(null, new RequestBody(undefined))
  }
  const onEnd = () => end(null, new RequestBody(Buffer.concat(chunks)))
  const onError = (error: Error) => end(Object.assign(error, { statusCode: 400 }))
  const end = (error: Error | null, body?: RequestBody) => {
    payload.off('data', onData).off('end', onEnd).off('error', onError)
    // What still comes is ignored, and so is an error of it.
    payload.on('error', () => undefined).resume()
    done(error, body)
  }
  payload.on('data', onData).on('end', onEnd).on('error', onError)
}
