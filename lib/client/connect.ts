import { closeAdvice } from '../protocol/close-advice.ts'
import { dialogueOf } from '../protocol/dialogue.ts'
import { REALTIME_PROTOCOL, subprotocols } from '../protocol/subprotocol.ts'
import { answer } from './answer.ts'
import { type ClientEvents, type ClientState, type Failure, Listeners, type Publication } from './events.ts'
import { ended, failure, handled } from './failure.ts'
import { parse, textOf } from './json.ts'
import { Link, type LinkOwner, type SocketConstructor } from './link.ts'
import { Outgoing } from './outgoing.ts'
import { absolute, watchPage } from './page.ts'
import { Positions } from './positions.ts'
import type { ConnectOptions, RealtimeClient, RequestOptions } from './realtime-client.ts'

// Times in milliseconds.
const DEFAULT_TIMEOUT = 10_000
// A connection that was open for at least this time resets the count of failures.
const STABLE_TIME = 5_000
// After this time the new connection takes over, even if some channels have not resumed.
const RESUME_TIME = 5_000
// The client waits for the end of the old connection, so that the messages sent on it arrive first. It waits at most so
// long.
const RETIRE_TIME = 1_000
// The maximum silence of a server that did not announce its ping interval.
const DEFAULT_SILENCE = 40_000
// Added to the ping interval, because the network may delay a ping.
const PING_SLACK = 10_000

type Fields = Readonly<Record<string, unknown>>

class Client implements LinkOwner {
  readonly #url: string
  readonly #options: ConnectOptions
  readonly #WebSocket: SocketConstructor
  readonly #listeners = new Listeners()
  readonly #positions = new Positions()
  readonly #outgoing: Outgoing
  readonly #unwatchPage: () => void
  /** The connection in use. */
  #current: Link | undefined
  /** The connection that is being opened. It takes over from the current one, if there is one. */
  #next: Link | undefined
  /** The connection that was replaced. It is closed when its requests are answered. */
  #retired: Link | undefined
  #connectTimer: ReturnType<typeof setTimeout> | undefined
  #resumeTimer: ReturnType<typeof setTimeout> | undefined
  #failures = 0
  #refusals = 0
  /** A server that drains asked the client not to reconnect before this time. */
  #notBefore = 0
  #hasOpened = false
  #lastId = 0
  state: ClientState = 'connecting'

  constructor(url: string, options: ConnectOptions) {
    this.#url = absolute(url)
    this.#options = options
    const WebSocket = options.WebSocket ?? (globalThis as { WebSocket?: SocketConstructor }).WebSocket
    if (!WebSocket) throw new TypeError('There is no global WebSocket: pass { WebSocket }')
    this.#WebSocket = WebSocket
    this.#outgoing = new Outgoing(options.queue ?? 100)
    this.#unwatchPage = watchPage(
      () => this.#wake(),
      () => this.#offline()
    )
    // In a later turn, so that the caller can add its listeners first.
    this.#connectTimer = setTimeout(() => this.#open())
  }

  on(event: string, listener: (value: never) => void): () => void {
    return this.#listeners.add(event, listener)
  }

  send(data: unknown): Promise<void> {
    return handled(this.#send(data))
  }

  async #send(data: unknown): Promise<void> {
    this.#checkOpen()
    await this.#outgoing.send(textOf(data))
  }

  request(data: unknown, options: RequestOptions = {}): Promise<unknown> {
    return handled(this.#request(data, options))
  }

  async #request(
    data: unknown,
    { timeout = this.#options.timeout ?? DEFAULT_TIMEOUT }: RequestOptions
  ): Promise<unknown> {
    this.#checkOpen()
    const id = ++this.#lastId
    const text = textOf(data)
    let end: (() => void) | undefined
    let timer: ReturnType<typeof setTimeout> | undefined
    try {
      return await new Promise((resolve, reject) => {
        timer = setTimeout(() => reject(failure('timeout', 'No reply in time')), timeout)
        const sendRequest = (link: Link) => {
          link.pending.set(id, { resolve, reject })
          end = () => {
            link.pending.delete(id)
            this.#closeRetired(link)
          }
          link.send(`{"id":${id},"request":${text}}`)
        }
        const cancel = this.#outgoing.request(sendRequest, reject)
        // If the request was not sent at once, it is in the queue.
        if (!(this.#current ?? this.#next)?.pending.has(id)) end = cancel
      })
    } finally {
      clearTimeout(timer)
      end?.()
    }
  }

  close(): void {
    this.#end(1000, 'closed')
  }

  #checkOpen(): void {
    if (this.state === 'closed') throw ended()
  }

  #emit<Event extends keyof ClientEvents>(event: Event, value: ClientEvents[Event]): void {
    this.#listeners.emit(event, value)
  }

  #enter(state: ClientState): void {
    if (this.state === state) return
    this.state = state
    this.#emit('state', state)
  }

  // Connecting

  #open(): void {
    clearTimeout(this.#connectTimer)
    if (this.#next) return
    const link = new Link(this, this.#options.timeout ?? DEFAULT_TIMEOUT)
    this.#next = link
    void this.#handshake(link)
  }

  async #handshake(link: Link): Promise<void> {
    const { token } = this.#options
    try {
      const protocols = token ? subprotocols(await token({ refused: this.#refusals > 0 })) : [REALTIME_PROTOCOL]
      if (link.lost) return
      const { text, channels } = this.#positions.since()
      link.waiting = channels
      const url = `${this.#url}${this.#url.includes('?') ? '&' : '?'}since=${text}`
      link.open(this.#WebSocket, url, protocols)
    } catch (error) {
      this.#emit('error', { code: 'token', message: String(error) })
      link.lose(1006, 'token')
    }
  }

  #retry(milliseconds: number): void {
    clearTimeout(this.#connectTimer)
    this.#connectTimer = setTimeout(() => this.#open(), milliseconds)
  }

  #backoff(): number {
    const { first = 1_000, max = 30_000 } = this.#options.backoff ?? {}
    return Math.random() * Math.min(max, first * 2 ** this.#failures++)
  }

  /** Called if the network may be available again, or if the page is visible again. */
  #wake(): void {
    this.#current?.check()
    if (!this.#current && this.state !== 'closed') this.#open()
  }

  #offline(): void {
    for (const link of [this.#next, this.#current]) link?.lose(1006, 'offline')
  }

  // Events of a link

  welcomed(link: Link): void {
    const { silence } = this.#options
    if (silence !== undefined) link.watch(silence)
    if (!this.#current || link.waiting.size === 0) this.#takeOver(link)
    else this.#resumeTimer = setTimeout(() => this.#takeOver(link), RESUME_TIME)
  }

  #takeOver(link: Link): void {
    clearTimeout(this.#resumeTimer)
    const old = this.#current
    this.#next = undefined
    this.#current = link
    this.#notBefore = 0
    if (old) this.#retire(old)
    else this.#outgoing.use(link)
    if (link.leaveAt !== undefined) this.#retry(link.leaveAt - Date.now())
    this.#enter('open')
    const first = !this.#hasOpened
    this.#hasOpened = true
    this.#emit('open', { first })
  }

  #retire(link: Link): void {
    link.retired = true
    this.#retired = link
    // New messages wait in the queue until the server has read all messages of the old connection.
    this.#outgoing.use(undefined)
    setTimeout(() => this.#release(link), RETIRE_TIME)
    this.#closeRetired(link)
  }

  /** Closes the replaced connection once its requests are answered. */
  #closeRetired(link: Link): void {
    if (link.retired && link.pending.size === 0) link.close()
  }

  /** The replaced connection has ended, or has taken too long: messages are sent on the current one from now on. */
  #release(link: Link): void {
    if (this.#retired !== link) return
    this.#retired = undefined
    this.#outgoing.use(this.#current)
  }

  lost(link: Link, code: number, reason: string): void {
    for (const { reject } of [...link.pending.values()]) reject(failure('connection_lost', 'The connection was lost'))
    this.#release(link)
    if (link.retired || this.state === 'closed') return
    const isStable = link.welcome && Date.now() - link.since >= STABLE_TIME
    if (isStable) this.#failures = this.#refusals = 0
    const isNext = link === this.#next
    if (isNext) {
      this.#next = undefined
      clearTimeout(this.#resumeTimer)
    } else this.#currentLost()
    const advice = closeAdvice(code)
    if (advice === 'stop') this.#end(code, reason)
    else if (isNext || !(this.#current ?? this.#next)) this.#reconnect(advice, code, reason)
  }

  /** Called if the current connection was lost. */
  #currentLost(): void {
    this.#current = undefined
    this.#outgoing.use(undefined)
    if (this.#next?.welcome) this.#takeOver(this.#next)
    else this.#enter('connecting')
  }

  #reconnect(advice: ReturnType<typeof closeAdvice>, code: number, reason: string): void {
    const now = Date.now()
    if (advice === 'new-token') {
      if (++this.#refusals > 1) this.#end(code, reason)
      else this.#retry(0)
    } else if (advice === 'slow-reconnect') this.#retry((this.#options.backoff?.max ?? 30_000) * (1 + Math.random()))
    else if (this.#notBefore > now) this.#retry(this.#notBefore - now)
    else this.#retry(this.#backoff())
  }

  #end(code: number, reason: string): void {
    if (this.state === 'closed') return
    const links = [this.#next, this.#current, this.#retired]
    this.#next = this.#current = this.#retired = undefined
    clearTimeout(this.#connectTimer)
    clearTimeout(this.#resumeTimer)
    this.#unwatchPage()
    this.#enter('closed')
    this.#outgoing.end(ended())
    for (const link of links) link?.lose(code, reason)
    this.#emit('close', { code, reason })
  }

  // Messages

  received(link: Link, data: unknown): void {
    const value = parse(data)
    if (typeof value !== 'object' || value === null) this.#emit('message', value)
    else if (!this.#handleProtocol(link, value as Fields)) this.#emit('message', value)
  }

  /** Handles a message of the protocol. Returns false if it is a message of the application. */
  #handleProtocol(link: Link, value: Fields): boolean {
    const { ping, notice, error, channel } = value
    if (typeof ping === 'number' && Object.keys(value).length === 1) {
      if (!link.welcome) link.watch(this.#options.silence ?? DEFAULT_SILENCE)
      return true
    }
    const dialogue = dialogueOf(value)
    if (dialogue !== undefined) return this.#handleDialogue(link, dialogue as Fields)
    if (isCoded(notice)) this.#notice(link, notice)
    else if (isCoded(error)) this.#errorReceived(error)
    else if (typeof channel === 'string' && 'data' in value) this.#published(link, value as never)
    else return false
    return true
  }

  #errorReceived(error: Fields & { code: unknown }): void {
    if (error.code === 'rate_limited') this.#outgoing.slowDown(Number(error.retryAfter) || 1_000)
    this.#emit('error', error as Failure)
  }

  #handleDialogue(link: Link, message: Fields): boolean {
    const id = message.id as number
    if ('request' in message) {
      const { respond } = this.#options
      if (respond !== undefined) void answer(link, id, message.request, respond)
      return respond !== undefined
    }
    const pending = link.pending.get(id)
    if ('reply' in message) pending?.resolve(message.reply)
    else {
      const { error } = message as { error: Fields }
      pending?.reject(Object.assign(new Error(String(error?.message)), error))
    }
    return pending !== undefined
  }

  #published(link: Link, { channel, data, offset, epoch }: Publication): void {
    if (offset === undefined || epoch === undefined) {
      // Two copies on two connections cannot be recognized without a position. So only the current connection counts.
      if (link === this.#current || !this.#current) this.#emit('publication', { channel, data })
      return
    }
    const isOld = link !== (this.#next ?? this.#current)
    const publication = { channel, data, offset, epoch }
    if (this.#positions.advance(channel, publication, isOld)) this.#emit('publication', publication)
  }

  #notice(link: Link, notice: Fields & { code: unknown }): void {
    const { code, channel, recovered } = notice as never as NoticeFields
    if (code === 'welcome') {
      link.queued = notice.queued === true
      link.watch(this.#options.silence ?? Number(notice.ping) * 1.1 + PING_SLACK)
    } else if (code === 'draining') this.#drainAnnounced(link, Number(notice.reconnectAfter))
    else if (code === 'taken') this.#outgoing.taken(notice.key)
    else if (code === 'unsubscribed') {
      this.#positions.delete(channel)
      this.#resumed(link, channel)
    } else if (code === 'subscribed' || code === 'insufficient_state') {
      const wasGiven = code !== 'subscribed' || link.waiting.has(channel)
      if (!recovered && this.#positions.restart(channel, notice as never, wasGiven)) this.#emit('gap', { channel })
      this.#resumed(link, channel)
    } else this.#emit('notice', notice as never)
  }

  #resumed(link: Link, channel: string): void {
    const { waiting } = link
    if (waiting.delete(channel) && waiting.size === 0 && link === this.#next && link.welcome) this.#takeOver(link)
  }

  #drainAnnounced(link: Link, milliseconds: number): void {
    const at = Date.now() + milliseconds
    link.leaveAt = at
    if (link !== this.#current) return
    this.#notBefore = at
    this.#retry(milliseconds)
  }
}

interface NoticeFields {
  code: string
  channel: string
  recovered?: boolean
}

/**
 * Opens a connection to an `app.ws` route, and reconnects when it is lost. Throws a TypeError if there is neither a
 * global `WebSocket` nor the option. See `docs/client.md`.
 */
export function connect<Message = unknown, Data = unknown>(
  url: string,
  options: ConnectOptions = {}
): RealtimeClient<Message, Data> {
  return new Client(url, options) as RealtimeClient<Message, Data>
}

function isCoded(value: unknown): value is Fields & { code: unknown } {
  return typeof value === 'object' && value !== null && 'code' in value
}
