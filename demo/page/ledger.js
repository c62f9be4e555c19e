// A piece of a stroke that the server has taken, and that did not come to a connection within this time, is lost.
const PATIENCE = 20_000
// The channel keeps more than this; of older ones the result stands.
const MOST = 2_000

/** @typedef {{ made: number, underway: number, lost: number, doubled: number }} Totals */

/**
 * What became of each piece of a stroke that this page's connections drew: it must come back to each connection that
 * watches the board, once. By name, `you` and `guide`.
 *
 * If a board is read again, all of its pieces come again: those that do not are lost.
 */
export class Ledger {
  /** When the server took each piece; undefined before. @type {Map<string, number | undefined>} */
  #pieces = new Map()
  /** @type {Map<string, { times: Map<string, number>, isReading: boolean }>} */
  #watchers = new Map()
  #made = 0
  /** Of watchers that left, and of the oldest pieces. */
  #past = { lost: 0, doubled: 0 }

  /** Begins again: another board. */
  clear() {
    this.#pieces.clear()
    this.#watchers.clear()
    this.#made = 0
    this.#past = { lost: 0, doubled: 0 }
  }

  /** A connection sees every piece from now on. */
  join(name) {
    this.#watchers.set(name, { times: new Map(), isReading: false })
  }

  leave(name, now) {
    const watcher = this.#watchers.get(name)
    if (watcher === undefined) return
    for (const [id, times] of watcher.times) this.#count(this.#past, id, times, { watcher, now })
    this.#watchers.delete(name)
  }

  drawn(id, now) {
    this.#pieces.set(id, undefined)
    this.#made++
    for (const { times } of this.#watchers.values()) times.set(id, 0)
    if (this.#pieces.size > MOST) this.#drop(this.#pieces.keys().next().value, now)
  }

  /** The server has it. */
  sent(id, now) {
    if (this.#pieces.has(id)) this.#pieces.set(id, now)
  }

  /** It was refused, or taken back before it was sent. */
  givenUp(id) {
    if (!this.#pieces.delete(id)) return
    this.#made--
    for (const { times } of this.#watchers.values()) times.delete(id)
  }

  arrived(name, id) {
    const times = this.#watchers.get(name)?.times
    const before = times?.get(id)
    if (before !== undefined) times.set(id, before + 1)
  }

  /** The board is read again: until it is, nothing is missing. */
  reset(name) {
    const watcher = this.#watchers.get(name)
    if (watcher === undefined) return
    watcher.isReading = true
    for (const [id, times] of watcher.times) {
      this.#past.doubled += Math.max(0, times - 1)
      watcher.times.set(id, 0)
    }
  }

  ready(name) {
    const watcher = this.#watchers.get(name)
    if (watcher !== undefined) watcher.isReading = false
  }

  /** @returns {Totals} */
  totals(now) {
    const totals = { made: this.#made, underway: 0, ...this.#past }
    for (const watcher of this.#watchers.values()) {
      for (const [id, times] of watcher.times) this.#count(totals, id, times, { watcher, now })
    }
    return totals
  }

  #count(totals, id, times, { watcher, now }) {
    totals.doubled += Math.max(0, times - 1)
    if (times > 0) return
    const sent = this.#pieces.get(id)
    if (!watcher.isReading && sent !== undefined && now - sent > PATIENCE) totals.lost++
    else if ('underway' in totals) totals.underway++
  }

  #drop(id, now) {
    for (const watcher of this.#watchers.values()) {
      this.#count(this.#past, id, watcher.times.get(id) ?? 1, { watcher, now })
      watcher.times.delete(id)
    }
    this.#pieces.delete(id)
  }
}

/**
 * Writes a connection's view of a board into the ledger.
 *
 * @param {Ledger} ledger @param {string} name
 * @param {import('./open-board.js').OpenBoard} board not yet open
 * @param {(now: number) => void} arrived called with each piece that arrives
 */
export function watch(ledger, name, board, arrived) {
  const on = (type, act) => board.addEventListener(type, ({ detail }) => act(detail ?? {}))
  on('drawn', ({ id }) => ledger.drawn(id, performance.now()))
  on('sent', ({ id }) => ledger.sent(id, performance.now()))
  on('given-up', ({ id }) => ledger.givenUp(id))
  on('reset', () => ledger.reset(name))
  on('ready', () => ledger.ready(name))
  on('arrived', ({ id }) => {
    ledger.arrived(name, id)
    arrived(performance.now())
  })
}
