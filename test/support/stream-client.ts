import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { within } from '../../lib/testing/deadline.ts'
import { EventParser } from './event-source.ts'
import { originOf } from './transports.ts'

/* A client of HTTP streaming or SSE that sends what it is told to, right or wrong. */

export interface StreamOptions {
  transport?: 'http_stream' | 'sse'
  /** For SSE: with `GET` the commands are in the URL. */
  method?: 'GET' | 'POST'
  path?: string
  headers?: Record<string, string>
  /** The body, or the parameter. */
  connect?: string
}

const JSON_TYPE = { 'content-type': 'application/json' }

/** The answer to a request that is no stream. */
export interface Answer {
  readonly status: number
  readonly headers: Record<string, unknown>
  readonly body: Record<string, unknown>
}

export class StreamClient {
  readonly response: IncomingMessage
  readonly #origin: string
  readonly #lines: string[] = []
  #changed: () => void = () => undefined
  #ended = false
  /** Of the reply to `connect`. */
  session = ''
  node = ''

  private constructor(origin: string, response: IncomingMessage, isEvents: boolean) {
    this.#origin = origin
    this.response = response
    const found = (text: string) => this.#lines.push(...text.split('\n'))
    const parser = new EventParser(found)
    let rest = ''
    response.setEncoding('utf8')
    response.on('data', (text: string) => {
      if (isEvents) parser.feed(text)
      else {
        const lines = `${rest}${text}`.split('\n')
        rest = lines.pop() as string
        this.#lines.push(...lines)
      }
      this.#changed()
    })
    response.on('error', () => undefined)
    response.once('close', () => {
      this.#ended = true
      this.#changed()
    })
  }

  /** Opens a stream, and reads the reply to `connect`. */
  static async open(app: FastifyInstance, options: StreamOptions = {}): Promise<StreamClient> {
    const client = await StreamClient.begin(app, options)
    const { connect } = (await client.next()) as { connect: { session: string; node: string } }
    Object.assign(client, { session: connect.session, node: connect.node })
    return client
  }

  static async begin(app: FastifyInstance, options: StreamOptions = {}): Promise<StreamClient> {
    const origin = await originOf(app)
    const response = await ask(origin, options)
    if (response.statusCode !== 200) throw new Error(String(response.statusCode))
    return new StreamClient(origin, response, options.transport === 'sse')
  }

  /** The next message, parsed. */
  async next(): Promise<Record<string, unknown>> {
    await within(10_000, 'a message', this.#some())
    const line = this.#lines.shift()
    if (line === undefined) throw new Error('the stream has ended')
    return JSON.parse(line) as Record<string, unknown>
  }

  /** All that comes until the stream ends. */
  async rest(): Promise<Record<string, unknown>[]> {
    const reading = async () => {
      while (!this.#ended) await this.#change()
    }
    await within(20_000, 'the end of the stream', reading())
    return this.#lines.splice(0).map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** Sends commands. Resolves with the status. */
  async send(...commands: object[]): Promise<number> {
    const data = commands.map((command) => JSON.stringify(command)).join('\n')
    const { node, session } = this
    return (await emulate(this.#origin, JSON.stringify({ node, session, data }))).status
  }

  close(): void {
    this.response.destroy()
  }

  async #some(): Promise<void> {
    while (this.#lines.length === 0 && !this.#ended) await this.#change()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve
    })
  }
}

/** Sends a body to the emulation endpoint. */
export async function emulate(
  origin: string,
  body: string | Buffer,
  headers: Record<string, string> = JSON_TYPE
): Promise<Answer> {
  return answerOf(await send(`${origin}/emulation`, 'POST', headers, body))
}

/** The answer to a request for a stream that is refused. */
export async function refused(app: FastifyInstance, options: StreamOptions = {}): Promise<Answer> {
  return answerOf(await ask(await originOf(app), options))
}

function ask(origin: string, options: StreamOptions): Promise<IncomingMessage> {
  const { transport = 'http_stream', headers = {}, connect = '{"id":1,"connect":{}}' } = options
  const { method = transport === 'sse' ? 'GET' : 'POST', path = `/connection/${transport}` } = options
  if (method === 'POST') return send(`${origin}${path}`, method, { ...JSON_TYPE, ...headers }, connect)
  const query = path.includes('?') ? '' : `?cf_connect=${encodeURIComponent(connect)}`
  return send(`${origin}${path}${query}`, method, headers)
}

export async function send(
  url: string,
  method: string,
  headers: Record<string, string>,
  body?: string | Buffer
): Promise<IncomingMessage> {
  const sent = request(url, { method, headers, agent: false })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return response
}

export async function answerOf(response: IncomingMessage): Promise<Answer> {
  response.setEncoding('utf8')
  let text = ''
  for await (const chunk of response) text += chunk
  return {
    status: response.statusCode as number,
    headers: response.headers,
    body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
  }
}
