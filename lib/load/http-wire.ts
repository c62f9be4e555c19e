import { Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps, Agent as SecureAgent } from 'node:https'
import type { Endpoint, Wire, WireEnd, WireListener } from './wire.ts'

export interface HttpEndpoint extends Endpoint {
  readonly transport: 'http_stream' | 'sse'
  /** The path for commands after the first. */
  readonly emulation: string
}

// The streams have a connection each. Commands of all clients share these.
const COMMANDS = { keepAlive: true, maxSockets: 128 }
const SCHEMES = {
  'ws:': { request: requestHttp, agent: new Agent(COMMANDS) },
  'wss:': { request: requestHttps, agent: new SecureAgent(COMMANDS) }
}
const EVENT = 'data: '
const ABNORMAL = 1006

/** A connection of the channel protocol over HTTP streaming or server-sent events. */
export class HttpWire implements Wire {
  /** The members `session` and `node` of the answer to `connect`. Needed before anything is sent. */
  session: object = {}
  readonly #endpoint: HttpEndpoint
  readonly #listener: WireListener
  readonly #stream: ClientRequest
  #response: IncomingMessage | undefined
  /** The start of a line whose end has not arrived. */
  #rest: Buffer = Buffer.alloc(0)
  /** Commands that wait for the request before them: two at once could overtake each other. */
  #waiting: string[] = []
  #isPosting = false
  #ended = false

  /** @param connect The first command, which the opening request carries. */
  constructor(endpoint: HttpEndpoint, connect: string, listener: WireListener) {
    this.#endpoint = endpoint
    this.#listener = listener
    const url = new URL(endpoint.url)
    const isSse = endpoint.transport === 'sse'
    if (isSse) url.searchParams.set('cf_connect', connect)
    this.#stream = this.#request(url.pathname + url.search, isSse ? undefined : connect)
    this.#stream.on('response', (response) => this.#onResponse(response))
  }

  send(data: string): void {
    this.#waiting.push(data)
    if (!this.#isPosting) this.#post()
  }

  pause(): void {
    this.#response?.pause()
  }

  resume(): void {
    this.#response?.resume()
  }

  cut(): void {
    this.#ended = true
    this.#stream.destroy()
  }

  close(): void {
    this.cut()
  }

  #onResponse(response: IncomingMessage): void {
    this.#response = response
    response.on('data', (chunk: Buffer) => this.#onData(chunk))
    response.on('error', () => {}) // `close` follows
    response.on('close', () => this.#end({ code: ABNORMAL }))
    if (response.statusCode === 200) this.#listener.onOpen()
    else this.#end({ status: response.statusCode as number })
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const skipped = this.#endpoint.transport === 'sse' ? EVENT.length : 0
    let start = 0
    for (let end = bytes.indexOf('\n'); end >= 0 && !this.#ended; end = bytes.indexOf('\n', start)) {
      if (end > start) this.#listener.onMessage(bytes.subarray(start + skipped, end))
      start = end + 1
    }
    this.#rest = bytes.subarray(start)
  }

  #post(): void {
    this.#isPosting = true
    const data = this.#waiting.splice(0).join('\n')
    const post = this.#request(this.#endpoint.emulation, JSON.stringify({ ...this.session, data }), true)
    post.on('response', (response) => {
      response.resume()
      if (response.statusCode !== 204) this.#end({ reason: `commands refused with ${response.statusCode}` })
      response.on('end', () => {
        this.#isPosting = false
        if (this.#waiting.length > 0 && !this.#ended) this.#post()
      })
    })
  }

  /** Without a body it is a GET. */
  #request(path: string, body: string | undefined, isShared = false): ClientRequest {
    const { url, headers } = this.#endpoint
    const { request, agent } = SCHEMES[url.protocol as keyof typeof SCHEMES]
    const sent = request({
      method: body === undefined ? 'GET' : 'POST',
      path,
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port,
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      agent: isShared && agent
    })
    sent.on('error', (error: NodeJS.ErrnoException) => this.#end({ reason: String(error.code) }))
    return sent.end(body)
  }

  #end(end: WireEnd): void {
    if (this.#ended) return
    this.cut()
    this.#listener.onEnd(end)
  }
}
