import { isUtf8 } from 'node:buffer'
import { ByteReader, EmulationRequestReader } from '../protocol/generated/messages.js'
import { type ClientFormat, jsonOverLines, protobufOverBytes } from '../session/encodings/client-format.ts'

/** A request that brings commands of a client. */
export interface EmulationRequest {
  readonly node: string
  readonly session: string
  readonly data: Buffer
}

/** How the requests of a client are encoded, and how it gets its messages. */
export interface StreamEncoding {
  /** The messages of a stream at `POST /connection/http_stream`. */
  readonly format: ClientFormat
  /** The content type of that stream. */
  readonly contentType: string
  /** Reads the body of `POST /emulation`. Undefined if it is malformed. */
  readEmulation(body: Buffer): EmulationRequest | undefined
}

const BY_CONTENT_TYPE: ReadonlyMap<string, StreamEncoding> = new Map([
  ['application/json', { format: jsonOverLines, contentType: 'application/x-ndjson', readEmulation: readJson }],
  [
    'application/octet-stream',
    { format: protobufOverBytes, contentType: 'application/octet-stream', readEmulation: readProtobuf }
  ]
])

/** The encoding of a request with this header Content-Type. Undefined if it is unknown. */
export function streamEncodingOf(contentType: string | undefined): StreamEncoding | undefined {
  return BY_CONTENT_TYPE.get((contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() as string)
}

function readJson(body: Buffer): EmulationRequest | undefined {
  // Without this check, Node would replace the bytes that are not UTF-8.
  if (!isUtf8(body)) return undefined
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch {
    return undefined // it is not JSON
  }
  const { node, session, data } = (value ?? {}) as Record<string, unknown>
  if (typeof node !== 'string' || typeof session !== 'string' || typeof data !== 'string') return undefined
  return data.isWellFormed() ? { node, session, data: Buffer.from(data) } : undefined
}

function readProtobuf(body: Buffer): EmulationRequest | undefined {
  try {
    return EmulationRequestReader.decode(ByteReader.create(body), body.length) as EmulationRequest
  } catch {
    return undefined // it is not that message
  }
}
