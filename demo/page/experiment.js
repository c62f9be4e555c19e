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
 * Does something to the server or the connection, and measures what the board's users would notice of it.
 *
 * Meanwhile the page publishes marks on a channel of its own that behaves like the board's: with history, and with the
 * same sending and resending as for strokes. So what happens to the marks would happen to strokes, and no board gets
 * marks.
 *
 * @param {import('./connection.js').Connection} connection
 * @param {() => Promise<unknown>} act resolves once it is over; if it rejects, so does this
 * @returns {Promise<Outcome>}
 */
export async function experiment(connection, act) {
  const pulse = new Pulse(connection)
  try {
    await pulse.start()
    await wait(LEAD)
    await act()
    await wait(TAIL)
    return await pulse.finish()
  } finally {
    pulse.close()
  }
}

class Pulse extends EventTarget {
  #tally = new Tally(INTERVAL)
  #connection
  #channel = `pulses/${newId()}`
  #stream
  #outbox
  #timer = 0
  #open = () => this.#outbox.open()
  #down = () => this.#outbox.close()

  constructor(connection) {
    super()
    this.#connection = connection
    this.#outbox = new Outbox({
      publish: (mark) => connection.client.publish(this.#channel, mark),
      // It is lost then, and counts as lost.
      refused: () => undefined
    })
    this.#stream = new Stream(connection.client, this.#channel)
    this.#stream.addEventListener('reset', () => this.#tally.reset())
    this.#stream.addEventListener('ready', ({ detail: { how } }) => how === 'reloaded' && this.#outbox.again())
    this.#stream.addEventListener('publication', ({ detail: { data } }) => this.#arrived(data.id))
    connection.addEventListener('open', this.#open)
    connection.addEventListener('down', this.#down)
    this.#outbox.open()
  }

  async start() {
    await this.#once(this.#stream, 'ready')
    this.#timer = setInterval(() => this.#make(), INTERVAL)
    await this.#once(this, 'arrived')
  }

  /** Makes no more marks, and waits for those in progress. @returns {Promise<Outcome>} */
  async finish() {
    clearInterval(this.#timer)
    const end = performance.now() + PATIENCE
    while (this.#tally.lost > 0 && performance.now() < end) await wait(INTERVAL)
    const { lost, duplicated, gap, count } = this.#tally
    return { lost, duplicated, gap: Math.round(gap), made: count }
  }

  close() {
    clearInterval(this.#timer)
    this.#stream.close()
    this.#outbox.close()
    this.#connection.removeEventListener('open', this.#open)
    this.#connection.removeEventListener('down', this.#down)
  }

  #make() {
    const id = String(this.#tally.count)
    this.#tally.made(id, performance.now())
    this.#outbox.add(id, { id })
  }

  #arrived(id) {
    this.#outbox.confirm(id)
    this.#tally.arrived(id, performance.now())
    this.dispatchEvent(new Event('arrived'))
  }

  async #once(target, type) {
    const { promise, resolve, reject } = Promise.withResolvers()
    const timer = setTimeout(() => reject(new Error('The board cannot be reached')), PATIENCE)
    target.addEventListener(type, resolve, { once: true })
    await promise
    clearTimeout(timer)
  }
}

function wait(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
