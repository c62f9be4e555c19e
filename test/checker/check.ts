import type { ClientEvent, ClientLog, Final, History, Place, Publish } from './history.ts'

/** The promises that a history can break. `docs/consistency.md` has each in a sentence. */
export type Rule =
  | 'step'
  | 'position'
  | 'recovery'
  | 'payload'
  | 'once'
  | 'refused'
  | 'kept'
  | 'order'
  | 'tail'
  | 'undeclared-epoch'
  | 'backwards'

export interface Violation {
  readonly rule: Rule
  readonly message: string
}

export interface Figures {
  readonly published: number
  readonly acked: number
  readonly refused: number
  readonly unknown: number
  readonly delivered: number
  /** Holes that clients were told of: a `recovered: false` to a position, and notices. */
  readonly gapsDeclared: number
  /** Subscriptions that went on from a position. */
  readonly recovered: number
}

export interface Verdict {
  readonly violations: readonly Violation[]
  readonly figures: Figures
  /** How many gaps were declared in which channel. A notice that names no channel is not among them. */
  readonly gaps: ReadonlyMap<string, number>
}

/** Judges a history. Pure. */
export function check(history: History): Verdict {
  const report = new Report()
  const register = new Register(report)
  for (const { channel, epoch, entries } of history.finals) {
    for (const { offset, id, hash } of entries) register.seen(channel, { offset, epoch }, id, hash, 'Redis')
  }
  for (const { id, channel, hash, outcome, position } of history.publishes) {
    if (outcome === 'ok' && position) register.seen(channel, position, id, hash, 'its publisher')
  }
  const finals = new Map(history.finals.map((final) => [final.channel, final]))
  const counts = { delivered: 0, gapsDeclared: 0, recovered: 0 }
  const gaps = new Map<string, number>()
  for (const client of history.clients) new Reader(client, report, register, counts, gaps).read(finals)
  checkPublishes(history, finals, register, report)
  checkOrder(history.publishes, report)
  const of = (outcome: string) => history.publishes.filter((publish) => publish.outcome === outcome).length
  return {
    violations: report.violations,
    gaps,
    figures: {
      published: history.publishes.length,
      acked: of('ok'),
      refused: of('error'),
      unknown: of('unknown'),
      ...counts
    }
  }
}

class Report {
  readonly violations: Violation[] = []

  add(rule: Rule, message: string): void {
    this.violations.push({ rule, message })
  }
}

/** Who saw which publication at which position. */
class Register {
  readonly #report: Report
  readonly #payloads = new Map<string, { id: number; hash: string; by: string }>()
  readonly #places = new Map<string, number>()
  readonly #ids = new Set<number>()

  constructor(report: Report) {
    this.#report = report
  }

  has(id: number): boolean {
    return this.#ids.has(id)
  }

  /** The same epoch and offset mean the same payload to everybody; one publication has one offset in an epoch. */
  seen(channel: string, { offset, epoch }: Place, id: number, hash: string, by: string): void {
    this.#ids.add(id)
    const place = `${channel} ${epoch}:${offset}`
    const before = this.#payloads.get(place)
    if (before === undefined) this.#payloads.set(place, { id, hash, by })
    else if (before.id !== id || before.hash !== hash) {
      this.#report.add('payload', `${place} is ${before.id} to ${before.by} and ${id} to ${by}`)
    }
    const key = `${channel} ${epoch} ${id}`
    const first = this.#places.get(key)
    if (first === undefined) this.#places.set(key, offset)
    else if (first !== offset) this.#report.add('once', `${id} stands in ${channel} ${epoch} at ${first} and ${offset}`)
  }
}

interface Track {
  position: Place | undefined
  /** Publications since the client asked to be subscribed, while it has no answer. */
  early: number | undefined
  since: Place | undefined
  /** After a notice that doesn't say what was dropped. */
  loose: boolean
}

type Of<Type> = Extract<ClientEvent, { type: Type }>

/** Follows one client through its events. */
class Reader {
  readonly #client: ClientLog
  readonly #report: Report
  readonly #register: Register
  readonly #counts: { delivered: number; gapsDeclared: number; recovered: number }
  readonly #gaps: Map<string, number>
  readonly #tracks = new Map<string, Track>()

  constructor(
    client: ClientLog,
    report: Report,
    register: Register,
    counts: { delivered: number; gapsDeclared: number; recovered: number },
    gaps: Map<string, number>
  ) {
    this.#gaps = gaps
    this.#client = client
    this.#report = report
    this.#register = register
    this.#counts = counts
  }

  read(finals: ReadonlyMap<string, Final>): void {
    for (const event of this.#client.events) {
      if (event.type === 'asked') this.#asked(event)
      else if (event.type === 'publication') this.#publication(event)
      else if (event.type === 'subscribed') this.#subscribed(event)
      else if (event.type === 'hole') this.#hole(event)
      else if (event.type === 'lagging') this.#lagging()
    }
    // Whoever is subscribed when all is quiet has everything up to the end.
    for (const [channel, { position }] of this.#tracks) {
      const final = finals.get(channel)
      if (final && (position?.offset !== final.offset || position.epoch !== final.epoch)) {
        this.#fail('tail', channel, `ended at ${text(position)}, Redis at ${text(final)}`)
      }
    }
  }

  #track(channel: string): Track {
    let track = this.#tracks.get(channel)
    if (track === undefined) {
      track = { position: undefined, early: undefined, since: undefined, loose: false }
      this.#tracks.set(channel, track)
    }
    return track
  }

  #asked({ channel, since }: Of<'asked'>): void {
    const track = this.#track(channel)
    track.early = 0
    track.since = since
    // Without a position it begins anew, wherever it was before.
    if (since === undefined) track.position = undefined
    else if (text(since) !== text(track.position)) this.#fail('position', channel, 'asked for what it was not at')
  }

  #publication({ channel, offset, epoch, id, hash }: Of<'publication'>): void {
    this.#counts.delivered++
    this.#register.seen(channel, { offset, epoch }, id, hash, this.#client.name)
    const track = this.#track(channel)
    const { position } = track
    if (track.early !== undefined) track.early++
    if (position === undefined) this.#fail('position', channel, `${epoch}:${offset} before it was told where it begins`)
    else if (position.epoch !== epoch) {
      this.#fail('undeclared-epoch', channel, `${epoch}:${offset} after ${text(position)}`)
    } else if (track.loose ? offset <= position.offset : offset !== position.offset + 1) {
      this.#fail('step', channel, `${epoch}:${offset} after ${text(position)}`)
    }
    track.loose = false
    track.position = { offset, epoch }
  }

  #subscribed({ channel, recovered, offset, epoch }: Of<'subscribed'>): void {
    const track = this.#track(channel)
    const { since, early, position } = track
    track.early = undefined
    if (recovered) {
      this.#counts.recovered++
      if (since === undefined || since.epoch !== epoch || since.offset > offset) {
        this.#fail('recovery', channel, `recovered from ${text(since)} to ${epoch}:${offset}`)
      }
      return
    }
    // All or nothing.
    if (early) this.#fail('recovery', channel, `${early} publications before recovered: false`)
    if (since) this.#gap(channel)
    this.#goTo(channel, position, { offset, epoch })
  }

  #hole({ channel, offset, epoch }: Of<'hole'>): void {
    this.#gap(channel)
    this.#goTo(channel, this.#track(channel).position, { offset, epoch })
  }

  #gap(channel: string): void {
    this.#counts.gapsDeclared++
    this.#gaps.set(channel, (this.#gaps.get(channel) ?? 0) + 1)
  }

  /** A declared gap leads on, never back: what was delivered would be again. */
  #goTo(channel: string, before: Place | undefined, after: Place): void {
    if (before && before.epoch === after.epoch && after.offset < before.offset) {
      this.#fail('backwards', channel, `told to go on from ${text(after)} at ${text(before)}`)
    }
    const track = this.#track(channel)
    track.position = after
    track.loose = false
  }

  #lagging(): void {
    this.#counts.gapsDeclared++
    for (const track of this.#tracks.values()) track.loose = true
  }

  #fail(rule: Rule, channel: string, what: string): void {
    this.#report.add(rule, `${this.#client.name}, ${channel}: ${what}`)
  }
}

function checkPublishes(
  history: History,
  finals: ReadonlyMap<string, Final>,
  register: Register,
  report: Report
): void {
  const kept = new Map<string, Set<number>>()
  for (const { channel, entries } of history.finals) {
    const ids = new Set<number>()
    for (const { id } of entries) {
      if (ids.has(id)) report.add('once', `${id} stands twice in the history of ${channel}`)
      ids.add(id)
    }
    kept.set(channel, ids)
  }
  for (const { id, channel, outcome, position } of history.publishes) {
    if (outcome === 'error' && register.has(id)) report.add('refused', `${id} in ${channel} was refused, and arrived`)
    const final = finals.get(channel)
    // What Redis lost, it lost under another epoch; what was trimmed is older than the oldest entry.
    if (outcome !== 'ok' || !position || !final || position.epoch !== final.epoch) continue
    const oldest = final.entries[0]?.offset ?? final.offset + 1
    if (position.offset >= oldest && !kept.get(channel)?.has(id)) {
      report.add('kept', `${id} was acknowledged as ${channel} ${text(position)}, and is gone in the same epoch`)
    }
  }
}

/** Publications of one publisher are in the order of its calls, whether or not it waited for each. */
function checkOrder(publishes: readonly Publish[], report: Report): void {
  const calls = publishes.flatMap(({ id, channel, outcome, position, call }) =>
    outcome === 'ok' && position && call ? [{ id, channel, position, call }] : []
  )
  calls.sort((a, b) => a.call.at - b.call.at)
  const last = new Map<string, { id: number; offset: number }>()
  for (const { id, channel, position, call } of calls) {
    const row = `${channel} ${position.epoch} ${call.row}`
    const before = last.get(row)
    if (before && before.offset >= position.offset) {
      report.add('order', `${id} is ${channel} ${text(position)}, and ${before.id}, called before, ${before.offset}`)
    }
    last.set(row, { id, offset: position.offset })
  }
}

function text(place: Place | undefined): string {
  return place ? `${place.epoch}:${place.offset}` : 'nowhere'
}
