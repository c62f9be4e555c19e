import type { Snapshot } from '../../messages.ts'
import { count } from '../model/format.ts'
import { type Count, type Frame, tally } from '../model/timeline.ts'
import { element, inside } from './element.ts'

type Counts = Readonly<Record<string, number>>

interface Definition {
  readonly empty: string
  /** Rows that are shown even if they are zero, in this order. */
  readonly all?: Counts
  read(snapshot: Snapshot): Counts
  /** The meaning of a name. */
  more?(name: string): string
}

const MAX_ROWS = 6

/**
 * The meaning of codes and reasons in two or three words; docs/close-codes.md and docs/metrics.md explain all of them.
 */
const CLOSES: Readonly<Record<string, string>> = {
  1000: 'done',
  1001: 'page left',
  1002: 'protocol error',
  1005: 'no code given',
  1006: 'vanished',
  1007: 'invalid UTF-8',
  1008: 'policy violation',
  1009: 'too large',
  1011: 'handler failed',
  1012: 'server restart',
  3001: 'server restart',
  3005: 'token expired',
  3008: 'slow reader',
  3010: 'stream broken',
  3012: 'no pong',
  3013: 'rate limited',
  3500: 'invalid token',
  3501: 'bad request',
  3502: 'never connected',
  3503: 'disconnected',
  3504: 'too many of a user',
  3505: 'too many channels',
  '3xxx': 'application’s own',
  4008: 'slow reader',
  4401: 'token expired',
  4403: 'disconnected',
  4409: 'too many of a user',
  4429: 'rate limited',
  '4xxx': 'application’s own'
}
const prefixed = (prefix: string, counts: Counts): Counts =>
  Object.fromEntries(Object.entries(counts).map(([name, value]) => [`${prefix}${name.replaceAll('_', ' ')}`, value]))

// Those that should be zero are shown even if they are.
const TROUBLES = {
  'heartbeat timeouts': 0,
  'positions repaired': 0,
  'holes in history': 0,
  recovered: 0,
  'not recovered': 0,
  dropped: 0
}

const TABLES = {
  closes: {
    empty: 'No connection was closed',
    read: ({ closes }: Snapshot) => closes,
    more: (code: string) => CLOSES[code] ?? ''
  },
  refusals: {
    empty: 'Nothing was refused',
    read: ({ refused, rejected }: Snapshot) => ({
      ...prefixed('handshake: ', refused),
      ...prefixed('message: ', rejected)
    })
  },
  troubles: {
    empty: '',
    all: TROUBLES,
    read: ({ heartbeatTimeouts, repairs, recoveries, dropped }: Snapshot) => ({
      ...TROUBLES,
      'heartbeat timeouts': heartbeatTimeouts,
      'positions repaired': repairs.complete ?? 0,
      'holes in history': repairs.hole ?? 0,
      recovered: recoveries.recovered ?? 0,
      'not recovered': recoveries.not_recovered ?? 0,
      dropped
    })
  }
} satisfies Record<string, Definition>

/** Three small tables of counts: in the window, and since the known nodes started. */
export class Tallies {
  readonly #bodies: { readonly card: HTMLElement; readonly definition: Definition; shown: string }[]

  constructor(cards: Readonly<Record<keyof typeof TABLES, HTMLElement>>) {
    this.#bodies = Object.entries(TABLES).map(([id, definition]) => ({
      card: cards[id as keyof typeof TABLES],
      definition,
      shown: ''
    }))
  }

  show(frame: Frame): void {
    for (const body of this.#bodies) {
      const { card, definition } = body
      const rows = tally(frame, definition.read)
      const shown = definition.all ? inOrder(rows, Object.keys(definition.all)) : rows.slice(0, MAX_ROWS)
      const text = JSON.stringify(shown)
      if (text === body.shown) continue
      body.shown = text
      card.dataset.counts = JSON.stringify(Object.fromEntries(rows.map(({ name, all }) => [name, all])))
      inside(card, '.empty').hidden = shown.length > 0
      inside(card, 'table').hidden = shown.length === 0
      inside(card, '.empty').textContent = definition.empty
      inside(card, 'tbody').replaceChildren(...shown.map((row) => rowOf(row, definition)))
    }
  }
}

function inOrder(rows: readonly Count[], places: readonly string[]): Count[] {
  return [...rows].sort((a, b) => places.indexOf(a.name) - places.indexOf(b.name))
}

function rowOf({ name, recent, all }: Count, { more = () => '' }: Definition): HTMLElement {
  return element(
    'tr',
    { dataset: { recent: String(recent > 0) } },
    element('th', { scope: 'row' }, name, element('span', { className: 'quiet', textContent: more(name) })),
    element('td', { textContent: count(recent) }),
    element('td', { textContent: count(all) })
  )
}
