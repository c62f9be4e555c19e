import type { ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import { streamOf } from '../dependencies.ts'
import type { Watcher } from './exchange.ts'
import type { Query } from './query.ts'

// Bytes. A page that does not read its messages is ended, and asks again.
const MAX_WAITING = 4 * 1024 * 1024

/** A page at the other end of an HTTP response. The response is one JSON text on each line. */
export class StreamWatcher implements Watcher {
  readonly query: Query
  readonly #response: ServerResponse
  readonly #stream: Writable

  constructor(response: ServerResponse, query: Query, headers: Readonly<Record<string, string>>) {
    this.query = query
    this.#response = response
    this.#stream = streamOf(response)
    response.writeHead(200, {
      ...headers,
      'content-type': 'application/x-ndjson; charset=utf-8',
      // A proxy that collects responses would hold it back.
      'x-accel-buffering': 'no'
    })
  }

  send(line: string): void {
    if (this.#stream.destroyed || this.#response.writableEnded) return
    this.#response.write(`${line}\n`)
    if (this.#stream.writableLength > MAX_WAITING) this.#stream.destroy()
  }

  end(): void {
    this.#response.end()
  }
}
