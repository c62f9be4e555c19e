import type { ResolvedHeartbeat } from '../options/options.ts'
import { pingFrame } from '../protocol/frame.ts'

/** What a heartbeat does next. */
export type Beat =
  /** Send this ping, look again at `next`. Others may be sent the same frame. */
  | { readonly action: 'ping'; readonly frame: Buffer; readonly next: number }
  /** The peer is gone. */
  | { readonly action: 'dead' }
  | { readonly action: 'wait'; readonly next: number }

// After a pause of our own what the peer sent may still be in the kernel: it gets this long to be read.
const GRACE = 1_000
// Between two pings of a peer that we don't read, at least: it answers each, and all of that is read one day.
const UNREAD_INTERVAL = 10_000
// Pings leave at marks, so many milliseconds apart. Then many leave in one turn of the event loop, as the same frame, and
// their pongs come back together. With a short interval, marks would make pings late.
const MARK = 250
const SHORT_INTERVAL = 5_000

/**
 * When to ping a peer and when to give it up: a ping every `interval` give or take 10 %, so that connections that
 * came together drift apart; dead when neither the pong nor any other frame came within `timeout`. Pure: time and
 * randomness are passed in.
 */
export class Heartbeat {
  readonly #interval: number
  readonly #timeout: number
  #nextPing: number
  /** When the ping was sent that still waits for its pong. */
  #pingedAt: number | undefined
  #judgeAt = 0
  /** The time in the ping whose pong may still come, however late. */
  #lastPing = Number.NaN
  /** Milliseconds between the last answered ping and its pong. */
  roundTripTime: number | undefined

  constructor({ interval, timeout }: ResolvedHeartbeat, now: number, random: number) {
    this.#interval = interval
    this.#timeout = timeout
    this.#nextPing = this.#after(now, random)
  }

  /** When to look first. */
  get first(): number {
    return this.#nextPing
  }

  #after(now: number, random: number): number {
    const at = now + this.#interval * (0.9 + 0.2 * random)
    return this.#interval < SHORT_INTERVAL ? at : Math.ceil(at / MARK) * MARK
  }

  /** A frame other than a pong came: whoever sends is alive. */
  heard(): void {
    this.#pingedAt = undefined
  }

  /** A pong came. Only the payload of the outstanding ping counts: an unsolicited pong proves nothing. */
  ponged(payload: Buffer, now: number): boolean {
    return payload.length === 8 && payload.readDoubleBE(0) === this.#lastPing && this.answered(now)
  }

  /** An answer without a payload came, as the channel protocol has it; false where no ping waits for one. */
  answered(now: number): boolean {
    if (Number.isNaN(this.#lastPing)) return false
    this.roundTripTime = now - this.#lastPing
    this.#lastPing = Number.NaN
    this.#pingedAt = undefined
    return true
  }

  /** We read again, after having stopped. */
  resumed(now: number): void {
    this.#judgeAt = now + GRACE
  }

  /**
   * @param graceUntil Silence says nothing before: the process was stalled.
   * @param paused Whether we ourselves have stopped reading: then silence says nothing either.
   */
  beat(now: number, random: number, graceUntil: number, paused: boolean): Beat {
    if (paused) this.resumed(now)
    const pingedAt = this.#pingedAt
    // Of a socket that we don't read, only what is written to it shows that its peer has left: the first write makes the
    // peer's system answer, and the next one fails. So the pings go on.
    const goesOn = paused && pingedAt !== undefined && now >= Math.max(this.#nextPing, pingedAt + UNREAD_INTERVAL)
    if (pingedAt !== undefined && !goesOn) {
      const judgeAt = Math.max(pingedAt + this.#timeout, graceUntil, this.#judgeAt)
      if (now >= judgeAt) return { action: 'dead' }
      return { action: 'wait', next: judgeAt }
    }
    if (now < this.#nextPing) return { action: 'wait', next: this.#nextPing }
    this.#nextPing = this.#after(now, random)
    this.#pingedAt = now
    this.#lastPing = now
    return { action: 'ping', frame: frameFor(now), next: Math.min(this.#nextPing, now + this.#timeout) }
  }
}

let latest: { readonly now: number; readonly frame: Buffer } = { now: Number.NaN, frame: Buffer.alloc(0) }

/** The ping of that moment. Its payload is the time. */
function frameFor(now: number): Buffer {
  if (latest.now !== now) {
    const payload = Buffer.alloc(8)
    payload.writeDoubleBE(now)
    latest = { now, frame: pingFrame(payload) }
  }
  return latest.frame
}
