import { Outbox } from './outbox.js'
import { newId } from './pens.js'
import { Stream } from './stream.js'
import { Tally } from './tally.js'

// Milliseconds from one mark to the next: twenty a second, of the hundred messages that a connection may send.
const INTERVAL = 50
// Marks that arrive undisturbed, before and after.
const LEAD = 400
const TAIL = 800
// Marks that have not arrived this long after the last one are lost.
const PATIENCE = 20_000

/** @typedef {{ lost: number, duplicated: number, gap: number, made: number }} Outcome */

/**
 * Does something to the server or the connections, and measures what the board's users would notice of it.
 *
 * Meanwhile the page publishes marks on a channel of its own that behaves like the board's: with history, and with the
 * same sending and resending as for strokes. So what happens to the marks would happen to strokes, and no board gets
 * marks. Each mark must come to each connection once.
 *
 * @param {Record<string, import('./connection.js').Connection>} connections by name; the first one publishes
 * @param {(pulse: { counts: Outcome }) => Promise<unknown>} act resolves once it is over; if it rejects, so does this
 * @param {(name: string, now: number) => void} [arrived] called with each mark that arrives on a connection
 * @returns {Promise<Outcome>}
 */
export async function experiment(connections, act, arrived = () => undefined) {
  const pulse = new Pulse(connections, arrived)
  try {
    await pulse.start()
    await wait(LEAD)
    await act(pulse)
    await wait(TAIL)
    return await pulse.finish()
  } finally {
    pulse.close()
  }
}

class Pulse {
  #channel = `pulses/${newId()}`
  #connection
  #outbox
  /** @type {{ tally: Tally, stream: Stream }[]} */
  #watchers
  #made = 0
  #timer = 0
  #open = () => this.#outbox.open()
  #down = () => this.#outbox.close()

  constructor(connections, arrived) {
    const [connection] = Object.values(connections)
    this.#connection = connection
    this.#outbox = new Outbox({
      publish: (mark) => connection.client.publish(this.#channel, mark),
      // It is lost then, and counts as lost.
      refused: () => undefined
    })
    this.#watchers = Object.entries(connections).map(([name, each]) => {
      return this.#watch(each, { isSender: each === connection, arrived: (now) => arrived(name, now) })
    })
    connection.addEventListener('open', this.#open)
    connection.addEventListener('down', this.#down)
    this.#outbox.open()
  }

  async start() {
    await Promise.all(this.#watchers.map(({ stream }) => once(stream, 'ready')))
    const first = this.#watchers.map(({ stream }) => once(stream, 'publication'))
    this.#timer = setInterval(() => this.#make(), INTERVAL)
    await Promise.all(first)
  }

  /** Makes no more marks, and waits for those in progress. @returns {Promise<Outcome>} */
  async finish() {
    clearInterval(this.#timer)
    const end = performance.now() + PATIENCE
    while (this.counts.lost > 0 && performance.now() < end) await wait(INTERVAL)
    return this.counts
  }

  /** The counts of all connections so far; marks in progress count as lost. @returns {Outcome} */
  get counts() {
    const tallies = this.#watchers.map(({ tally }) => tally)
    const sum = (part) => tallies.reduce((total, tally) => total + tally[part], 0)
    const gap = Math.round(Math.max(...tallies.map((tally) => tally.gap)))
    return { lost: sum('lost'), duplicated: sum('duplicated'), gap, made: this.#made }
  }

  close() {
    clearInterval(this.#timer)
    for (const { stream } of this.#watchers) stream.close()
    this.#outbox.close()
    this.#connection.removeEventListener('open', this.#open)
    this.#connection.removeEventListener('down', this.#down)
  }

  #watch({ client }, { isSender, arrived }) {
    const tally = new Tally(INTERVAL)
    const stream = new Stream(client, this.#channel)
    stream.addEventListener('reset', () => tally.reset())
    stream.addEventListener('publication', ({ detail: { data } }) => {
      const now = performance.now()
      if (isSender) this.#outbox.confirm(data.id)
      tally.arrived(data.id, now)
      arrived(now)
    })
    if (isSender) {
      stream.addEventListener('ready', ({ detail: { how } }) => how === 'reloaded' && this.#outbox.again())
    }
    return { tally, stream }
  }

  #make() {
    const id = String(this.#made++)
    const now = performance.now()
    for (const { tally } of this.#watchers) tally.made(id, now)
    this.#outbox.add(id, { id })
  }
}

async function once(target, type) {
  const { promise, resolve, reject } = Promise.withResolvers()
  const timer = setTimeout(() => reject(new Error('The board cannot be reached')), PATIENCE)
  target.addEventListener(type, resolve, { once: true })
  await promise
  clearTimeout(timer)
}

function wait(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
