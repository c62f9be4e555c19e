import { element } from './element.js'
import { count } from './format.js'
import { tally } from './timeline.js'

const MAX_ROWS = 6

/**
 * The meaning of codes and reasons in two or three words; docs/close-codes.md and docs/metrics.md explain all of them.
 */
const CLOSES = {
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
const prefixed = (prefix, counts) =>
  Object.fromEntries(Object.entries(counts).map(([name, value]) => [`${prefix}${name.replaceAll('_', ' ')}`, value]))

// Those that should be zero are shown even if they are.
const TROUBLES = {
  'heartbeat timeouts': 0,
  'positions repaired': 0,
  'holes in history': 0,
  recovered: 0,
  'not recovered': 0,
  'dropped publications': 0
}

const TABLES = {
  closes: {
    empty: 'No connection was closed',
    read: ({ closes }) => closes,
    name: (code) => code,
    more: (code) => CLOSES[code] ?? ''
  },
  refusals: {
    empty: 'Nothing was refused',
    read: ({ refused, rejected }) => ({ ...prefixed('handshake: ', refused), ...prefixed('message: ', rejected) })
  },
  troubles: {
    empty: '',
    all: true,
    read: ({ heartbeatTimeouts, repairs, recoveries, dropped }) => ({
      ...TROUBLES,
      'heartbeat timeouts': heartbeatTimeouts,
      'positions repaired': repairs.complete ?? 0,
      'holes in history': repairs.hole ?? 0,
      recovered: recoveries.recovered ?? 0,
      'not recovered': recoveries.not_recovered ?? 0,
      'dropped publications': dropped
    })
  }
}

/** Three small tables of counts: in the window, and since the known nodes started. */
export class Tallies {
  #bodies

  /** @param {Record<'closes' | 'refusals' | 'troubles', HTMLElement>} cards */
  constructor(cards) {
    this.#bodies = Object.entries(cards).map(([id, card]) => ({ card, options: TABLES[id], shown: '' }))
  }

  /** @param {import('./timeline.js').Frame} frame */
  show(frame) {
    for (const body of this.#bodies) {
      const { card, options } = body
      const rows = tally(frame, options.read)
      const shown = options.all ? inOrder(rows) : rows.slice(0, MAX_ROWS)
      const text = JSON.stringify(shown)
      if (text === body.shown) continue
      body.shown = text
      card.dataset.counts = JSON.stringify(Object.fromEntries(rows.map(({ name, all }) => [name, all])))
      card.querySelector('.empty').hidden = shown.length > 0
      card.querySelector('table').hidden = shown.length === 0
      card.querySelector('.empty').textContent = options.empty
      card.querySelector('tbody').replaceChildren(...shown.map((row) => rowOf(row, options)))
    }
  }
}

function inOrder(rows) {
  const places = Object.keys(TROUBLES)
  return rows.sort((a, b) => places.indexOf(a.name) - places.indexOf(b.name))
}

function rowOf({ name, recent, all }, { more = () => '' }) {
  return element(
    'tr',
    { dataset: { recent: String(recent > 0) } },
    element('th', { scope: 'row' }, name, element('span', { className: 'quiet', textContent: more(name) })),
    element('td', { textContent: count(recent) }),
    element('td', { textContent: count(all) })
  )
}
