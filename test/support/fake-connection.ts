import { Duplex } from 'node:stream'
import type { Connection, ConnectionSession, ConnectionSettings } from '../../lib/connection/connection.ts'
import { Outbox } from '../../lib/connection/outbox.ts'
import { Turn } from '../../lib/connection/turn.ts'
import { type Claims, DEFAULTS } from '../../lib/options/options.ts'
import { framePayloads, textFrame } from '../../lib/protocol/frame.ts'
import type { SessionConnection } from '../../lib/session/services.ts'

export interface FakeConnectionOptions extends Partial<Omit<ConnectionSettings, 'user'>> {
  user?: Claims | null
  turn?: Turn
}

const log = { debug() {}, info() {}, warn() {}, error() {} }
const defaults = {
  kind: 'channels',
  transport: 'websocket',
  begunAt: 0,
  expiresAt: Number.POSITIVE_INFINITY,
  validator: undefined
} as const

/** A connection without a socket: for tests of the hub, of sessions, and of what a node does with its connections. */
export class FakeConnection implements SessionConnection {
  readonly settings: ConnectionSettings
  readonly outbox: Outbox
  /** What was written, write by write. */
  readonly chunks: Buffer[] = []
  /** What else it was asked for, in order: the method and what it was given. */
  readonly calls: unknown[][] = []
  user: Claims | null
  stats = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0, dropped: 0, rejected: 0, queued: 0, age: 0 }
  session: ConnectionSession | undefined
  roundTripTime: number | undefined
  bufferedAmount = 0
  maxSubscriptions: number
  closed = false
  endedBy: 'client' | 'server' | 'network' = 'server'
  /** The code and reason that it was closed with first. */
  closedWith: { code: number; reason: string } | undefined
  /** The reader takes nothing until `read()`. */
  slow = false
  /** What it may send in all. */
  allowance: { bytes: number; exceeded: () => void } | undefined
  /** Bytes that it has caused to be sent, call by call. */
  readonly spent: number[] = []
  readonly intake = {
    indebted: false,
    takeCommand: (_bytes: number) => true,
    spend: (bytes: number) => void this.spent.push(bytes),
    liftAllowance: () => {
      this.allowance = undefined
    },
    pause: this.#noting('pause'),
    resume: this.#noting('resume')
  }
  readonly cutOff = this.#noting('cutOff')
  readonly pingAnswered = this.#noting('pingAnswered')
  extend: Connection['extend'] = this.#noting('extend')
  insufficientState: Connection['insufficientState'] = this.#noting('insufficientState')
  unsubscribe: Connection['unsubscribe'] = this.#noting('unsubscribe')
  readonly overflowed = this.#noting('overflowed')
  #stuck: (() => void) | undefined

  constructor({ user = null, turn = new Turn(), ...settings }: FakeConnectionOptions = {}) {
    const { limits, heartbeat } = DEFAULTS
    this.user = user
    this.maxSubscriptions = limits.subscriptions
    this.settings = { id: 'c1', ...defaults, user, limits, heartbeat, route: '/', log, ...settings }
    const write = (chunk: Buffer, _encoding: string, done: () => void) => {
      this.chunks.push(chunk)
      if (this.slow) this.#stuck = done
      else done()
    }
    const stream = new Duplex({ writableHighWaterMark: 1, read() {}, write })
    this.outbox = new Outbox(stream, turn, this.settings.limits.buffered, this)
  }

  get id(): string {
    return this.settings.id
  }

  /** The texts of its messages. */
  get texts(): string[] {
    return [...framePayloads(Buffer.concat(this.chunks))].map(({ payload }) => payload.toString())
  }

  sendText(text: string): void {
    if (!this.closed) this.outbox.send(textFrame(text))
  }

  close(code: number, reason: string): void {
    this.outbox.finish()
    this.closed = true
    this.closedWith ??= { code, reason }
  }

  closeWith({ code, reason }: { code: number; reason: string }): void {
    this.close(code, reason)
  }

  terminate(): void {
    this.closed = true
  }

  warnOfDrain(): boolean {
    return false
  }

  drain() {
    return { handled: this.session?.drain(), busy: false }
  }

  caughtUp(): void {
    this.session?.caughtUp()
  }

  identify(user: Claims, expiresAt: number): void {
    this.user = user
    this.calls.push(['identify', user, expiresAt])
  }

  allow(bytes: number, exceeded: () => void): void {
    this.allowance = { bytes, exceeded }
  }

  /** The network is gone. */
  lose(): void {
    if (!this.closed) this.endedBy = 'network'
    this.closed = true
    this.closedWith ??= { code: 1006, reason: '' }
  }

  /** The reader reads again. */
  read(): void {
    this.slow = false
    this.#stuck?.()
  }

  #noting(name: string) {
    return (...details: unknown[]) => void this.calls.push([name, ...details])
  }
}
