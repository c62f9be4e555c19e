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
}

type Answer = { outcome: 'ok'; position: Place } | { outcome: 'error' | 'unknown' }

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
    this.#due = Math.min(this.#due + ((now - this.#last) * this.#options.rate) / 1000, this.#options.rate / 4)
    this.#last = now
    for (; this.#due >= 1; this.#due--) {
      const publish = this.#publish(++this.#id)
      this.#underWay.add(publish)
      publish.finally(() => this.#underWay.delete(publish))
    }
  }

  async #publish(id: number): Promise<void> {
    const { channels, random, tag } = this.#options
    const channel = channels[Math.floor(random() * channels.length)] as string
    const data = { id, padding: 'x'.repeat(Math.floor(random() ** 3 * MAX_PADDING)) }
    const body = JSON.stringify({ channel, data, key: `${tag}-${id}` })
    let answer = await this.#ask(body)
    if (answer.outcome === 'unknown') this.retried++
    // Once it may have been done, only a confirmation settles it.
    let [delay] = RETRY_DELAY as readonly [number, number]
    for (let known = answer.outcome !== 'unknown'; !known && !this.#givingUp; ) {
      const wait = delay * (0.5 + random())
      await new Promise((resolve) => setTimeout(resolve, wait))
      delay = Math.min(2 * delay, RETRY_DELAY[1])
      const again = await this.#ask(body)
      known = again.outcome === 'ok'
      if (known) answer = again
    }
    this.publishes.push({ id, channel, hash: hashOf(data), ...answer })
  }

  #ask(body: string): Promise<Answer> {
    const { ports, random } = this.#options
    const all = ports()
    const port = all[Math.floor(random() * all.length)] as number
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
        resolve({ outcome: error.code === 'ECONNREFUSED' ? 'error' : 'unknown' })
      )
      sent.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.on('error', () => resolve({ outcome: 'unknown' }))
        response.on('end', () => resolve(read(response.statusCode, Buffer.concat(chunks).toString())))
      })
      sent.end(body)
    })
  }
}

function read(status: number | undefined, text: string): Answer {
  const answer = JSON.parse(text)
  if (status === 200) return { outcome: 'ok', position: { offset: answer.offset, epoch: answer.epoch } }
  return { outcome: answer.code === 'FST_RT_UNKNOWN_OUTCOME' ? 'unknown' : 'error' }
}
