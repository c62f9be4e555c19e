import { createHash } from 'node:crypto'
import { WebSocket } from 'ws'
import { testToken } from '../../lib/testing/index.ts'
import type { ClientEvent, ClientLog, Place } from './history.ts'

const FIRST_DELAY = 50
const MOST_DELAY = 1000
/** The server pings idle connections every second: one that is silent for longer is dead. */
const SILENCE = 3000

export interface SubscriberOptions {
  readonly name: string
  readonly channels: readonly string[]
  /** Gives the ports that a client may connect to. */
  ports(): readonly number[]
  readonly random: () => number
  readonly user?: string
  /** Milliseconds without a word after which it gives its connection up. @default 3000 */
  readonly silence?: number
}

/** A client as it should be: it connects again with backoff and jitter, to any node, and goes on from its positions. */
export class Subscriber implements ClientLog {
  readonly name: string
  readonly events: ClientEvent[] = []
  readonly channels: readonly string[]
  readonly #options: SubscriberOptions
  readonly #positions = new Map<string, Place>()
  readonly #pending = new Set<string>()
  readonly #closes: number[] = []
  #socket: WebSocket | undefined
  #silence: NodeJS.Timeout | undefined
  #retry: NodeJS.Timeout | undefined
  #failures = 0
  #port = 0
  #lostAt: number | undefined
  #stopped = false
  /** Visible pings of the server. */
  pings = 0
  /** Milliseconds from the loss of each connection until all channels were subscribed again. */
  readonly gaps: number[] = []

  constructor(options: SubscriberOptions) {
    this.name = options.name
    this.channels = options.channels
    this.#options = options
    this.#connect()
  }

  /** The node that it is connected to. */
  get port(): number {
    return this.#port
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN
  }

  /** The codes of the closes it saw. */
  get closes(): readonly number[] {
    return this.#closes
  }

  /** Subscribed to everything. */
  get isSettled(): boolean {
    return this.isOpen && this.#pending.size === 0
  }

  positionOf(channel: string): Place | undefined {
    return this.#positions.get(channel)
  }

  /** Loses the connection, as a phone does. */
  drop(): void {
    this.#socket?.terminate()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#retry)
    clearTimeout(this.#silence)
    this.#socket?.terminate()
  }

  #connect(): void {
    const { ports, random, user = this.name } = this.#options
    const all = ports()
    this.#port = all[Math.floor(random() * all.length)] as number
    const offer = ['realtime.v1', `bearer.${testToken({ sub: user })}`]
    const socket = new WebSocket(`ws://127.0.0.1:${this.#port}/sub`, offer, {
      handshakeTimeout: SILENCE,
      perMessageDeflate: false
    })
    this.#socket = socket
    socket.on('open', () => this.#opened())
    socket.on('message', (data) => this.#heard(JSON.parse(data.toString())))
    // 'close' follows.
    socket.on('error', () => undefined)
    socket.on('close', (code) => this.#closed(code))
  }

  #opened(): void {
    this.events.push({ type: 'open', at: performance.now() })
    this.#listen()
    for (const channel of this.channels) this.#ask(channel)
  }

  #ask(channel: string): void {
    if (!this.isOpen) return
    const since = this.#positions.get(channel)
    this.#pending.add(channel)
    this.events.push({ type: 'asked', channel, since })
    this.#socket?.send(JSON.stringify({ subscribe: channel, since }))
  }

  #listen(): void {
    if (this.#silence) this.#silence.refresh()
    else this.#silence = setTimeout(() => this.#socket?.terminate(), this.#options.silence ?? SILENCE)
  }

  #heard(message: Record<string, never>): void {
    this.#listen()
    const { channel, data, offset, epoch, subscribed, refused, notice } = message as Record<string, unknown> as {
      channel: string
      data: { id: number }
      offset: number
      epoch: string
      subscribed?: { channel: string; recovered: boolean } & Place
      refused?: { channel: string }
      notice?: { code: string; channel: string } & Place
    }
    if (data !== undefined) {
      this.#positions.set(channel, { offset, epoch })
      this.events.push({ type: 'publication', channel, offset, epoch, id: data.id, hash: hashOf(data) })
    } else if (subscribed) this.#subscribed(subscribed)
    else if (refused) setTimeout(() => this.#ask(refused.channel), MOST_DELAY * this.#options.random())
    else if (message.ping !== undefined) this.pings++
    else if (notice?.code === 'insufficient_state') {
      const place = { offset: notice.offset, epoch: notice.epoch }
      this.#positions.set(notice.channel, place)
      this.events.push({ type: 'hole', channel: notice.channel, ...place })
    } else if (notice?.code === 'lagging') this.events.push({ type: 'lagging' })
  }

  #subscribed({ channel, recovered, offset, epoch }: { channel: string; recovered: boolean } & Place): void {
    const at = performance.now()
    this.#failures = 0
    this.events.push({ type: 'subscribed', channel, recovered, offset, epoch, at })
    if (!recovered) this.#positions.set(channel, { offset, epoch })
    this.#pending.delete(channel)
    if (this.#pending.size > 0 || this.#lostAt === undefined) return
    this.gaps.push(at - this.#lostAt)
    this.#lostAt = undefined
  }

  #closed(code: number): void {
    const at = performance.now()
    this.#lostAt ??= at
    this.#closes.push(code)
    this.events.push({ type: 'close', at, code })
    clearTimeout(this.#silence)
    this.#silence = undefined
    if (this.#stopped) return
    const delay = Math.min(MOST_DELAY, FIRST_DELAY * 2 ** Math.min(this.#failures++, 10))
    this.#retry = setTimeout(() => this.#connect(), delay * this.#options.random())
  }
}

export function hashOf(data: unknown): string {
  return createHash('sha1').update(JSON.stringify(data)).digest('base64url').slice(0, 12)
}
