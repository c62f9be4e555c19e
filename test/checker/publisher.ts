import { Agent, request } from 'node:http'
import type { Place, Publish } from './history.ts'
import { hashOf } from './subscriber.ts'

// Longer than the broker takes to say that it doesn't know.
const ANSWER_TIMEOUT = 4000
// Hundreds that try again at once would be an outage of their own: the delay doubles up to the second.
const RETRY_DELAY = [200, 3000] as const
const PERIOD = 20
const MAX_PADDING = 2000

export interface PublisherOptions {
  readonly channels: readonly string[]
  /** Publications a second. */
  readonly rate: number
  ports(): readonly number[]
  readonly random: () => number
  readonly tag: string
  /** So many publications of one channel are made at once, none of which waits for the one before. @default 1 */
  readonly row?: number
}

type Answer = { outcome: 'ok'; position: Place } | { outcome: 'error' | 'unknown' }

interface Item {
  readonly id: number
  readonly data: { readonly id: number; readonly padding: string }
  readonly key: string
}

/** Publishes through any node, and tries what may or may not have happened again with the same key. */
export class Publisher {
  readonly publishes: Publish[] = []
  readonly #options: PublisherOptions
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 200 })
  readonly #underWay = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout
  #due = 0
  #last = performance.now()
  #id = 0
  #givingUp = false
  /** How many first answers said that nobody knows. */
  retried = 0

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#tick(), PERIOD)
  }

  /** Publishes no more; resolves once every publication has its outcome, at the latest after `patience` ms. */
  async stop(patience: number): Promise<void> {
    clearInterval(this.#timer)
    const timeout = setTimeout(() => {
      this.#givingUp = true
    }, patience)
    await Promise.all(this.#underWay)
    clearTimeout(timeout)
    this.#agent.destroy()
  }

  #tick(): void {
    const now = performance.now()
    // A machine that was busy for a second isn't to be hit with all of it at once.
    const { rate, row = 1 } = this.#options
    this.#due = Math.min(this.#due + ((now - this.#last) * rate) / 1000, Math.max(rate / 4, row))
    this.#last = now
    for (; this.#due >= row; this.#due -= row) {
      const publish = this.#publish(row)
      this.#underWay.add(publish)
      publish.finally(() => this.#underWay.delete(publish))
    }
  }

  async #publish(row: number): Promise<void> {
    const { channels, random, tag } = this.#options
    const channel = channels[Math.floor(random() * channels.length)] as string
    const items = Array.from({ length: row }, (): Item => {
      const id = ++this.#id
      const data = { id, padding: 'x'.repeat(Math.floor(random() ** 3 * MAX_PADDING)) }
      return { id, data, key: `${tag}-${id}` }
    })
    const answers = await this.#ask(channel, items)
    await Promise.all(items.map((item, at) => this.#settle(channel, item, answers[at] as Answer, at)))
  }

  /** Tries one again until it is known whether it was published. */
  async #settle(channel: string, item: Item, first: Answer, at: number): Promise<void> {
    const { random, row = 1 } = this.#options
    let answer = first
    if (answer.outcome === 'unknown') this.retried++
    // Once it may have been done, only a confirmation settles it.
    let [delay] = RETRY_DELAY as readonly [number, number]
    for (let known = answer.outcome !== 'unknown'; !known && !this.#givingUp; ) {
      const wait = delay * (0.5 + random())
      await new Promise((resolve) => setTimeout(resolve, wait))
      delay = Math.min(2 * delay, RETRY_DELAY[1])
      const [again] = (await this.#ask(channel, [item])) as [Answer]
      known = again.outcome === 'ok'
      if (known) answer = again
    }
    const isCall = row > 1 && first.outcome === 'ok'
    const call = isCall ? { call: { row: item.id - at, at } } : {}
    this.publishes.push({ id: item.id, channel, hash: hashOf(item.data), ...answer, ...call })
  }

  /** Has a node publish them, in one turn. Gives an answer for each. */
  #ask(channel: string, items: readonly Item[]): Promise<Answer[]> {
    const body = JSON.stringify({ channel, items: items.map(({ data, key }) => ({ data, key })) })
    const all = (outcome: 'error' | 'unknown') => items.map((): Answer => ({ outcome }))
    const { ports, random } = this.#options
    const addresses = ports()
    const port = addresses[Math.floor(random() * addresses.length)] as number
    return new Promise((resolve) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      const sent = request({
        host: '127.0.0.1',
        port,
        path: '/publish',
        method: 'POST',
        agent: this.#agent,
        headers,
        timeout: ANSWER_TIMEOUT
      })
      sent.on('timeout', () => sent.destroy(new Error('no answer')))
      sent.on('error', (error: NodeJS.ErrnoException) =>
        resolve(all(error.code === 'ECONNREFUSED' ? 'error' : 'unknown'))
      )
      sent.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.on('error', () => resolve(all('unknown')))
        response.on('end', () => {
          const answer = JSON.parse(Buffer.concat(chunks).toString())
          // A node that drains answers with an error of its own.
          resolve(Array.isArray(answer) ? answer.map(read) : all('error'))
        })
      })
      sent.end(body)
    })
  }
}

function read(answer: { offset?: number; epoch?: string; code?: string }): Answer {
  const { offset, epoch, code } = answer
  if (offset !== undefined && epoch !== undefined) return { outcome: 'ok', position: { offset, epoch } }
  return { outcome: code === 'FST_RT_UNKNOWN_OUTCOME' ? 'unknown' : 'error' }
}
