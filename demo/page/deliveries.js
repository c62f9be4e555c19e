// What is shown of the past: so much, or an experiment from its beginning on.
const LEAST = 20_000
const MOST = 180_000
// What was broken stays to be looked at.
const AFTERWARDS = 60_000
// A pause between two deliveries that is shorter than this is none. While something is broken, marks come every 50 ms.
const LEAST_GAP = 200

/** @typedef {{ from: number, to: number }} Gap */
/** @typedef {{ kind: string, text: string, at: number }} Mark */

/** When something arrived on each connection, and what was done to the demo meanwhile. Times are in milliseconds. */
export class Deliveries {
  /** @type {Mark[]} */
  marks = []
  /** @type {Map<string, number[]>} */
  #lanes = new Map()
  /** While something is broken a steady stream is expected. */
  #expected = { from: Infinity, to: Infinity }

  /** @param {string[]} lanes */
  constructor(lanes) {
    for (const lane of lanes) this.#lanes.set(lane, [])
  }

  arrived(lane, now) {
    this.#lanes.get(lane)?.push(now)
  }

  mark(kind, text, now) {
    this.marks.push({ kind, text, at: now })
  }

  /** From now on deliveries are expected all the time. Earlier marks are forgotten. */
  begin(now) {
    this.#expected = { from: now, to: Infinity }
    this.marks = []
  }

  end(now) {
    this.#expected.to = now
  }

  get isExpecting() {
    return this.#expected.from !== Infinity && this.#expected.to === Infinity
  }

  /** The time at the left end of the strip: it grows with what is being broken. */
  start(now) {
    const { from, to } = this.#expected
    if (now - to > AFTERWARDS) return now - LEAST
    return Math.max(now - MOST, Math.min(now - LEAST, from - 1_000))
  }

  arrivals(lane) {
    return this.#lanes.get(lane) ?? []
  }

  /** The pauses of a connection while deliveries were expected. @returns {Gap[]} */
  gaps(lane, now) {
    const { from, to } = this.#expected
    const end = Math.min(to, now)
    const times = this.arrivals(lane).filter((time) => time >= from && time <= end)
    const first = times[0]
    // Before the first mark, nothing was sent.
    if (first === undefined) return []
    return [...times, end].flatMap((time, at) => {
      const before = at === 0 ? time : times[at - 1]
      return time - before >= LEAST_GAP ? [{ from: before, to: time }] : []
    })
  }

  /** The longest pause, in whole milliseconds; 0 if there was none. */
  longest(lane, now) {
    return Math.round(this.gaps(lane, now).reduce((longest, { from, to }) => Math.max(longest, to - from), 0))
  }

  /** Forgets deliveries that are older than the strip. Returns true if the strip shows or expects any. */
  trim(now) {
    const start = this.start(now)
    for (const times of this.#lanes.values()) {
      const gone = times.findIndex((time) => time >= start)
      times.splice(0, gone === -1 ? times.length : gone)
    }
    this.marks = this.marks.filter(({ at }) => at >= start)
    return this.isExpecting || this.marks.length > 0 || [...this.#lanes.values()].some(({ length }) => length > 0)
  }
}
