import type { ResolvedHeartbeat } from '../options/options.ts'
import { pingFrame } from '../protocol/frame.ts'

/** What to do next for the heartbeat of a connection. */
export type Beat =
  /** Send this ping, and call `beat` again at `next`. Other connections may be sent the same frame. */
  | { readonly action: 'ping'; readonly frame: Buffer; readonly next: number }
  /** The peer no longer answers. */
  | { readonly action: 'dead' }
  | { readonly action: 'wait'; readonly next: number }

// Milliseconds to read what the peer sent while we had paused reading: it may still be in the kernel.
const GRACE = 1_000
// Milliseconds between two pings to a peer that we are not reading, at least. The peer answers each ping, and we have
// to read all those pongs later.
const UNREAD_INTERVAL = 10_000
// The time of a ping is rounded down to a multiple of so many milliseconds. So pings of many connections leave in one
// turn of the event loop, as the same frame, and their pongs come back together. Not up, because idle timeouts of
// proxies and of clients are set by the interval. A short interval is not rounded: the error would be too large.
const ROUNDING = 250
const SHORT_INTERVAL = 5_000

/**
 * Decides when to ping a peer, and when the peer is dead. It pings every `interval` ± 10 %, so that the pings of
 * connections that opened together spread out. A peer is dead if neither a pong nor any other frame came within
 * `timeout` of a ping. Time and randomness are passed in.
 */
export class Heartbeat {
  readonly #interval: number
  readonly #timeout: number
  #nextPing: number
  /** When the oldest ping without an answer was sent. Undefined if the peer has sent a frame since. */
  #pingedAt: number | undefined
  /** The peer is not declared dead before this time. */
  #notDeadBefore = 0
  /** The time in the latest ping, until its pong comes, however late. Undefined if no pong is expected. */
  #lastPing: number | undefined
  /** Milliseconds between the last answered ping and its pong. */
  roundTripTime: number | undefined

  constructor({ interval, timeout }: ResolvedHeartbeat, now: number, random: number) {
    this.#interval = interval
    this.#timeout = timeout
    this.#nextPing = this.#pingTimeAfter(now, random)
  }

  /** When to call `beat` for the first time. */
  get first(): number {
    return this.#nextPing
  }

  #pingTimeAfter(now: number, random: number): number {
    const at = now + this.#interval * (0.9 + 0.2 * random)
    return this.#interval < SHORT_INTERVAL ? at : Math.floor(at / ROUNDING) * ROUNDING
  }

  /** A frame other than a pong came, so the peer is alive. */
  frameReceived(): void {
    this.#pingedAt = undefined
  }

  /** A pong came. False unless it has the payload of the latest ping: an unsolicited pong proves nothing. */
  pongReceived(payload: Buffer, now: number): boolean {
    return payload.length === 8 && payload.readDoubleBE(0) === this.#lastPing && this.pingAnswered(now)
  }

  /** A pong of the channel protocol came, which has no payload. False if no pong is expected. */
  pingAnswered(now: number): boolean {
    if (this.#lastPing === undefined) return false
    this.roundTripTime = now - this.#lastPing
    this.#lastPing = undefined
    this.#pingedAt = undefined
    return true
  }

  /** Reading was resumed after a pause. */
  resumed(now: number): void {
    this.#notDeadBefore = now + GRACE
  }

  /**
   * @param graceUntil The peer is not declared dead before this time, because the process was stalled.
   * @param paused Whether we have paused reading. Then the peer is not declared dead either.
   */
  beat(now: number, random: number, graceUntil: number, paused: boolean): Beat {
    if (paused) this.resumed(now)
    const pingedAt = this.#pingedAt
    // While reading is paused, only writing shows that the peer has left: after the first write the peer's system
    // answers with a reset, and the next write fails. So pings are still sent.
    const pingsAgain = paused && pingedAt !== undefined && now >= Math.max(this.#nextPing, pingedAt + UNREAD_INTERVAL)
    if (pingedAt !== undefined && !pingsAgain) {
      const deadAt = Math.max(pingedAt + this.#timeout, graceUntil, this.#notDeadBefore)
      if (now >= deadAt) return { action: 'dead' }
      return { action: 'wait', next: deadAt }
    }
    if (now < this.#nextPing) return { action: 'wait', next: this.#nextPing }
    this.#nextPing = this.#pingTimeAfter(now, random)
    this.#pingedAt = now
    this.#lastPing = now
    return { action: 'ping', frame: frameFor(now), next: Math.min(this.#nextPing, now + this.#timeout) }
  }
}

let latest: { readonly now: number; readonly frame: Buffer } = { now: Number.NaN, frame: Buffer.alloc(0) }

/** The ping frame for the time `now`. Its payload is that time. */
function frameFor(now: number): Buffer {
  if (latest.now !== now) {
    const payload = Buffer.alloc(8)
    payload.writeDoubleBE(now)
    latest = { now, frame: pingFrame(payload) }
  }
  return latest.frame
}
