import { setTimeout as delay } from 'node:timers/promises'
import type { LoadOptions } from './command/options.ts'
import { Crew } from './crew.ts'
import { GeneratorUsage } from './measure/generator-usage.ts'
import type { ServerSample } from './measure/server-usage.ts'
import { intervalFor, Timeline } from './measure/timeline.ts'
import { publishersOf } from './plan.ts'
import { RunError } from './preflight.ts'
import type { LoadResult, Moment, Phase } from './result.ts'
import { Sender } from './sender.ts'
import { makeClients, prepare, type Setting } from './setting.ts'
import { settle } from './settling.ts'
import { StampWriter } from './stamp.ts'
import { summarize } from './summary.ts'

/** Gets the progress of a run. */
export interface RunListener {
  /** Once, before the first connection. */
  onBegin(setting: Setting): void
  /** Every so often. */
  onMoment(moment: Moment, crew: Crew): void
}

// Between the ramp and the messages: the remaining work of the handshakes is done by then.
const LULL = 250
const SLOW_FROM = 1 / 4
const STORM_AT = 1 / 2

/**
 * Makes a run: opens the connections, sends, waits for messages in progress, and sums up. If the signal aborts it ends
 * early, with the figures so far. Throws a RunError if there is nothing to sum up.
 */
export async function runLoad(options: LoadOptions, signal: AbortSignal, listener: RunListener): Promise<LoadResult> {
  const setting = await prepare(options)
  listener.onBegin(setting)
  const run = new Run(options, setting, signal)
  try {
    return await run.make((moment) => listener.onMoment(moment, run.crew))
  } finally {
    await run.end()
  }
}

class Run {
  readonly crew: Crew
  readonly #options: LoadOptions
  readonly #setting: Setting
  readonly #signal: AbortSignal
  readonly #started = new Date()
  readonly #origin = performance.now()
  readonly #generator = new GeneratorUsage()
  readonly #timeline: Timeline
  #phase: Phase = 'connecting'
  #sender: Sender | undefined

  constructor(options: LoadOptions, setting: Setting, signal: AbortSignal) {
    this.#options = options
    this.#setting = setting
    this.#signal = signal
    this.crew = new Crew(setting.run, this.#origin, (observer) => makeClients(options, setting, observer))
    this.#timeline = new Timeline(
      {
        crew: this.crew,
        generator: this.#generator,
        server: setting.server,
        published: () => this.#sender?.sent ?? 0,
        phase: () => this.#phase
      },
      this.#origin
    )
  }

  async make(onMoment: (moment: Moment) => void): Promise<LoadResult> {
    const { crew } = this
    const { ramp, duration } = this.#options
    this.#timeline.start(intervalFor(ramp + duration), onMoment)
    await crew.open(ramp, this.#signal)
    const rampTook = performance.now() - this.#origin
    const connecting = this.#generator.total()
    if (crew.everOpened === 0 && !this.#signal.aborted) throw new RunError(whyNobody(crew))
    await this.#pause(LULL)

    const before = await this.#sampleServer()
    this.#generator.restart()
    const sendingBegan = performance.now()
    const publishers = await this.#send()
    const sendingTook = performance.now() - sendingBegan
    const sending = this.#generator.total()
    const after = await this.#sampleServer()

    this.#phase = 'settling'
    await settle(crew, this.#signal)
    crew.abandonAbsentees()
    this.#timeline.stop()
    return summarize({
      options: this.#options,
      setting: this.#setting,
      started: this.#started,
      interrupted: this.#signal.aborted,
      crew,
      timeline: this.#timeline,
      publishers,
      lateness: this.#sender?.lateness,
      connecting: { took: rampTook, generator: connecting },
      sending: { took: sendingTook, generator: sending, server: { before, after } }
    })
  }

  async end(): Promise<void> {
    this.#timeline.stop()
    this.#generator.stop()
    await this.crew.close()
  }

  /** Sends, and disturbs as the options say. Returns the number of publishers. */
  async #send(): Promise<number> {
    if (this.#signal.aborted) return 0
    const { run } = this.#setting
    const { duration, rate, messages, payload, message } = this.#options
    const outlets = this.crew.begin((able) => publishersOf(this.#options, able))
    const sender = new Sender(outlets, new StampWriter(run, payload, message), this.#origin)
    this.#sender = sender
    this.#phase = 'sending'
    const timers = this.#disturb(Math.min(duration, (messages / rate) * 1000))
    await sender.run({ rate, duration, messages }, this.#signal)
    for (const timer of timers) clearTimeout(timer)
    // On a very busy machine its time may have passed.
    if (this.#options.reconnectStorm && this.crew.storm === undefined && !this.#signal.aborted) this.crew.cutAll()
    for (const client of this.crew.clients) if (client.isSlow) client.resume()
    return outlets.length
  }

  #disturb(duration: number): NodeJS.Timeout[] {
    const { slowReaders, slowFor, reconnectStorm } = this.#options
    const timers: NodeJS.Timeout[] = []
    if (slowReaders > 0) {
      const slow = this.crew.clients.filter(({ isSlow }) => isSlow)
      const from = duration * SLOW_FROM
      const pause = () => {
        for (const client of slow) client.pause()
      }
      const resume = () => {
        for (const client of slow) client.resume()
      }
      timers.push(setTimeout(pause, from), setTimeout(resume, from + slowFor))
    }
    if (reconnectStorm) timers.push(setTimeout(() => this.crew.cutAll(), duration * STORM_AT))
    return timers
  }

  #sampleServer(): Promise<ServerSample | undefined> | undefined {
    return this.#setting.server?.sample()
  }

  async #pause(milliseconds: number): Promise<void> {
    // Aborted: it ends early, as intended.
    await delay(milliseconds, undefined, { signal: this.#signal }).catch(() => {})
  }
}

const HINTS: Readonly<Record<number, string>> = {
  400: 'the server did not take the handshake',
  401: 'the token was refused; give the server’s secret with --token-secret, or a token with --token',
  403: 'the server does not take this client; check --origin and the rights of the token’s user',
  404: 'there is no such route; check the path of --url',
  429: 'too many at once; lower the rate with --ramp, or use more --users',
  503: 'the server is full, or about to end'
}

function whyNobody({ refusals, failures, closes }: Crew): string {
  const reasons = [
    ...Object.entries(refusals.toJSON()).map(([status, count]) => {
      const hint = HINTS[Number(status)]
      return `refused with ${status} (${count} times)${hint === undefined ? '' : `: ${hint}`}`
    }),
    ...Object.entries(closes.toJSON()).map(([code, count]) => `closed at once with ${code} (${count} times)`),
    ...Object.entries(failures.toJSON()).map(([reason, count]) => `${reason} (${count} times)`)
  ]
  return `no connection could take part: ${reasons.join('; ')}`
}
