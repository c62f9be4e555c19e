import type { ChannelDepth, PageMessage } from '../../messages.ts'
import { shifted } from '../../packing.ts'
import type { Query } from '../../query.ts'
import { LineReader } from './lines.ts'

/** `refused`: the guard does not let the page in. */
export type FeedStatus = 'connecting' | 'connected' | 'reconnecting' | 'refused'

export interface FeedOptions {
  readonly fetch: typeof globalThis.fetch
  /** The dashboard's key, if there is one. */
  key(): string | undefined
  /** The query of now. */
  query(): Query
  status(status: FeedStatus, attempt: number): void
  /** Its times are of the page's clock. */
  message(message: PageMessage): void
  /** Milliseconds since 1970, by the page's clock. */
  now(): number
  /** @param needsKey The dashboard itself refused the request. If false, a hook of the application did. */
  refused(needsKey: boolean, message: string): void
  /** A value from 0 to 1. */
  random?(): number
}

/** The answer to a request was no success. */
export class RequestError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

// Milliseconds. A node sends something every second.
const SILENCE = 10_000
const DELAY = { first: 250, most: 4_000 }
const UNAUTHORIZED = 'FST_RT_UNAUTHORIZED'
const REFUSALS = new Set([401, 403])

/** The page's requests. One is open all the time: its response is one JSON text on each line. */
export class Feed {
  readonly #options: FeedOptions
  #status: FeedStatus = 'connecting'
  #attempt = 0
  #wantsPast = true
  #stopped = false
  #node: string | undefined
  /** Milliseconds to add to the times of the node at the other end. */
  #shift = 0
  #opened: AbortController | undefined
  #silence: ReturnType<typeof setTimeout> | undefined
  #wake: (() => void) | undefined

  constructor(options: FeedOptions) {
    this.#options = options
  }

  get status(): FeedStatus {
    return this.#status
  }

  /** The node that serves the page, once it is known. */
  get node(): string | undefined {
    return this.#node
  }

  async start(): Promise<void> {
    this.#tell('connecting')
    while (!this.#stopped) {
      const goesOn = await this.#open()
      clearTimeout(this.#silence)
      if (goesOn || this.#stopped) continue
      this.#attempt++
      this.#wantsPast = true
      this.#tell('reconnecting')
      await this.#pause()
    }
  }

  stop(): void {
    this.#stopped = true
    this.restart()
  }

  /** Asks again, with the query of now. */
  restart(): void {
    this.#opened?.abort()
    this.#wake?.()
  }

  depths(channels: readonly string[]): Promise<Record<string, ChannelDepth>> {
    return this.#post('depths', { channels }) as Promise<Record<string, ChannelDepth>>
  }

  async disconnect(connection: string): Promise<void> {
    await this.#post('disconnect', { connection })
  }

  /** Resolves at the end of the response: with true if the page asks again at once. */
  async #open(): Promise<boolean> {
    const opened = new AbortController()
    this.#opened = opened
    try {
      const body = { query: this.#options.query(), past: this.#wantsPast }
      const response = await this.#request('live', body, opened.signal)
      this.#attempt = 0
      this.#wantsPast = false
      this.#tell('connected')
      return await this.#read(response, opened)
    } catch (error) {
      if (error instanceof RequestError && REFUSALS.has(error.status)) this.#refused(error)
      // Otherwise the network, or the server, which the next attempt shows.
      return opened.signal.aborted && opened.signal.reason !== SILENCE
    }
  }

  async #read(response: Response, opened: AbortController): Promise<boolean> {
    const lines = new LineReader()
    const decoder = new TextDecoder()
    const reader = (response.body as NonNullable<Response['body']>).getReader()
    for (;;) {
      clearTimeout(this.#silence)
      this.#silence = setTimeout(() => opened.abort(SILENCE), SILENCE)
      const { done, value } = await reader.read()
      if (done) return false
      for (const line of lines.take(decoder.decode(value as Uint8Array, { stream: true }))) {
        const message = JSON.parse(line) as PageMessage
        if (message.kind === 'end') return true
        this.#options.message(this.#received(message))
      }
    }
  }

  /** Converts the times. A load balancer may lead the next request to another node, whose clock may differ. */
  #received(message: PageMessage): PageMessage {
    if (message.kind === 'hello') {
      this.#node = message.node
      this.#shift = this.#options.now() - message.now
    }
    if (message.kind === 'now') return { ...message, snapshot: shifted(message.snapshot, this.#shift) }
    if (message.kind !== 'past') return message
    return { ...message, samples: message.samples.map((sample) => shifted(sample, this.#shift)) }
  }

  #refused({ status, code, message }: RequestError): void {
    this.#stopped = true
    this.#tell('refused')
    this.#options.refused(status === 401 && code === UNAUTHORIZED, message)
  }

  async #post(path: string, body: object): Promise<unknown> {
    const response = await this.#request(path, body)
    return response.json()
  }

  async #request(path: string, body: object, signal?: AbortSignal): Promise<Response> {
    const key = this.#options.key()
    const response = await this.#options.fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) },
      body: JSON.stringify(body),
      // A hook that leads strangers to a form has refused.
      redirect: 'manual',
      ...(signal && { signal })
    })
    if (response.ok) return response
    const isRedirect = response.type === 'opaqueredirect'
    const { code = '', message = response.statusText } = isRedirect ? {} : await errorOf(response)
    throw new RequestError(isRedirect ? 401 : response.status, code, message)
  }

  #pause(): Promise<void> {
    const { random = Math.random } = this.#options
    const most = Math.min(DELAY.most, DELAY.first * 2 ** this.#attempt)
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, most * (0.5 + random() / 2))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #tell(status: FeedStatus): void {
    this.#status = status
    this.#options.status(status, this.#attempt)
  }
}

async function errorOf(response: Response): Promise<{ code?: string; message?: string }> {
  try {
    return (await response.json()) as { code?: string; message?: string }
  } catch {
    // A proxy, or a hook of the application, answers in another form.
    return {}
  }
}
