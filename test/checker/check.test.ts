import t from 'tap'
import { check, type Rule } from './check.ts'
import type { ClientEvent, Final, Publish } from './history.ts'

const A = 'epoch-a'
const B = 'epoch-b'
const channel = 'ch'
const id = (offset: number, epoch = A) => (epoch === A ? offset : 100 + offset)

const open: ClientEvent = { type: 'open', at: 0 }
const close: ClientEvent = { type: 'close', at: 1, code: 1006 }
const asked = (offset?: number, epoch = A): ClientEvent => ({
  type: 'asked',
  channel,
  since: offset === undefined ? undefined : { offset, epoch }
})
const subscribed = (offset: number, recovered = false, epoch = A): ClientEvent => ({
  type: 'subscribed',
  channel,
  recovered,
  offset,
  epoch,
  at: 2
})
const saw = (offset: number, epoch = A, what = id(offset, epoch)): ClientEvent => ({
  type: 'publication',
  channel,
  offset,
  epoch,
  id: what,
  hash: `h${what}`
})
const hole = (offset: number, epoch = A): ClientEvent => ({ type: 'hole', channel, offset, epoch })
const told = (offset: number, epoch = A): Publish => ({
  id: id(offset, epoch),
  channel,
  hash: `h${id(offset, epoch)}`,
  outcome: 'ok',
  position: { offset, epoch }
})
/** Acknowledged at an offset, and called at a place of a row. */
const inRow = (offset: number, row: number, at: number): Publish => ({ ...told(offset), call: { row, at } })
const without = (outcome: 'error' | 'unknown', what: number): Publish => ({
  id: what,
  channel,
  hash: `h${what}`,
  outcome
})
const final = (offsets: readonly number[], epoch = A, ids = offsets.map((offset) => id(offset, epoch))): Final => ({
  channel,
  epoch,
  offset: offsets.at(-1) ?? 0,
  entries: offsets.map((offset, at) => ({ offset, id: ids[at] as number, hash: `h${ids[at]}` }))
})

interface Case {
  readonly name: string
  readonly events?: readonly ClientEvent[]
  readonly second?: readonly ClientEvent[]
  readonly publishes?: readonly Publish[]
  readonly redis?: Final
  /** Empty: the history is fine. */
  readonly broken: readonly Rule[]
}

const begin = [open, asked(), subscribed(0)]

const CASES: readonly Case[] = [
  {
    name: 'all in order',
    events: [...begin, saw(1), saw(2)],
    publishes: [told(1), told(2)],
    redis: final([1, 2]),
    broken: []
  },
  {
    name: 'recovered after a reconnect',
    events: [...begin, saw(1), close, open, asked(1), saw(2), saw(3), subscribed(3, true), saw(4)],
    redis: final([1, 2, 3, 4]),
    broken: []
  },
  {
    name: 'a gap that is declared when subscribing',
    events: [...begin, saw(1), close, open, asked(1), subscribed(3), saw(4)],
    redis: final([4]),
    broken: []
  },
  {
    name: 'a gap that is declared by a notice',
    events: [...begin, saw(1), hole(3), saw(4)],
    redis: final([1, 2, 3, 4]),
    broken: []
  },
  {
    name: 'a client that begins anew',
    events: [...begin, saw(1), close, open, asked(), subscribed(0), saw(1), saw(2)],
    redis: final([1, 2]),
    broken: []
  },
  {
    name: 'an epoch that begins again, declared',
    events: [...begin, saw(1), saw(2), hole(0, B), saw(1, B)],
    publishes: [told(2), told(1, B)],
    redis: final([1], B),
    broken: []
  },
  {
    name: 'an epoch that goes on, declared',
    events: [...begin, saw(1), hole(1, B), saw(2, B)],
    redis: final([1, 2], B, [1, 102]),
    broken: []
  },
  {
    name: 'dropped for a slow reader, declared',
    events: [...begin, saw(1), { type: 'lagging' }, saw(4), saw(5)],
    redis: final([1, 2, 3, 4, 5]),
    broken: []
  },
  {
    name: 'nobody knows, and it arrived once',
    events: [...begin, saw(1)],
    publishes: [without('unknown', 1)],
    redis: final([1]),
    broken: []
  },
  { name: 'nobody knows, and it never arrived', events: begin, publishes: [without('unknown', 1)], broken: [] },
  {
    name: 'acknowledged, and lost with its epoch',
    events: [...begin, hole(0, B)],
    publishes: [told(1)],
    redis: final([], B),
    broken: []
  },
  {
    name: 'acknowledged, and trimmed',
    events: [...begin, saw(1), saw(2)],
    publishes: [told(1), told(2)],
    redis: final([2]),
    broken: []
  },
  { name: 'a gap', events: [...begin, saw(1), saw(3)], redis: final([1, 2, 3]), broken: ['step'] },
  { name: 'a duplicate', events: [...begin, saw(1), saw(1)], redis: final([1]), broken: ['step'] },
  { name: 'out of order', events: [...begin, saw(2), saw(1), saw(2)], redis: final([1, 2]), broken: ['step', 'step'] },
  {
    name: 'out of order although told of dropped ones',
    events: [...begin, saw(1), { type: 'lagging' }, saw(1)],
    redis: final([1]),
    broken: ['step']
  },
  {
    name: 'a gap after a recovery',
    events: [...begin, saw(1), close, open, asked(1), subscribed(2, true), saw(3)],
    redis: final([1, 2, 3]),
    broken: ['step']
  },
  {
    name: 'before it was told where it begins',
    events: [open, asked(), saw(1)],
    redis: final([1]),
    broken: ['position']
  },
  {
    name: 'a client that asks for what it is not at',
    events: [...begin, saw(1), close, open, asked(0), subscribed(1, true)],
    redis: final([1]),
    broken: ['position']
  },
  {
    name: 'another epoch without a word',
    events: [...begin, saw(1), saw(2, B)],
    redis: final([1, 2], B, [1, 102]),
    broken: ['undeclared-epoch']
  },
  {
    name: 'recovered into another epoch',
    events: [...begin, close, open, asked(0), subscribed(0, true, B)],
    broken: ['recovery']
  },
  {
    name: 'recovered to before it was',
    events: [...begin, saw(1), close, open, asked(1), subscribed(0, true)],
    redis: final([1]),
    broken: ['recovery']
  },
  {
    name: 'recovered without having asked',
    events: [open, asked(), subscribed(0, true)],
    broken: ['recovery', 'tail']
  },
  {
    name: 'something before recovered: false',
    events: [...begin, close, open, asked(0), saw(1), subscribed(2)],
    redis: final([1, 2]),
    broken: ['recovery']
  },
  {
    name: 'told to go on from before',
    events: [...begin, saw(1), saw(2), hole(1), saw(2)],
    redis: final([1, 2]),
    broken: ['backwards']
  },
  {
    name: 'two payloads at one place, to two clients',
    events: [...begin, saw(1)],
    second: [...begin, saw(1, A, 9)],
    redis: final([1]),
    broken: ['payload']
  },
  {
    name: 'another payload than was acknowledged',
    events: [...begin, saw(1, A, 9)],
    publishes: [told(1)],
    redis: final([1], A, [9]),
    broken: ['payload', 'kept']
  },
  {
    name: 'one publication at two places',
    events: [...begin, saw(1), saw(2, A, 1)],
    broken: ['tail', 'once']
  },
  { name: 'one publication twice in Redis', redis: final([1, 2], A, [1, 1]), broken: ['once', 'once'] },
  {
    name: 'refused, and it arrived',
    events: [...begin, saw(1)],
    publishes: [without('error', 1)],
    redis: final([1]),
    broken: ['refused']
  },
  {
    name: 'acknowledged, and gone in the same epoch',
    events: [...begin, saw(1), saw(2), saw(3)],
    publishes: [told(1), told(2), told(3)],
    redis: { ...final([1, 3]) },
    broken: ['kept']
  },
  {
    name: 'a row of calls in order, and one of another row before it',
    publishes: [
      inRow(1, 1, 2),
      inRow(2, 2, 1),
      inRow(3, 1, 3),
      { ...inRow(4, 1, 1), position: { offset: 9, epoch: B } }
    ],
    redis: final([1, 2, 3]),
    broken: []
  },
  {
    name: 'a row of calls in another order than it was made in',
    publishes: [inRow(1, 1, 2), inRow(2, 1, 1)],
    redis: final([1, 2]),
    broken: ['order']
  },
  { name: 'the end is missing', events: [...begin, saw(1)], redis: final([1, 2]), broken: ['tail'] },
  { name: 'in another epoch at the end', events: [...begin], redis: final([], B), broken: ['tail'] }
]

for (const { name, events = [], second, publishes = [], redis, broken } of CASES) {
  t.test(name, async (t) => {
    const clients = [
      { name: 'one', events },
      { name: 'two', events: second ?? [] }
    ]
    const { violations } = check({ clients, publishes, finals: [redis ?? final([])] })
    t.strictSame(violations.map(({ rule }) => rule).sort(), [...broken].sort(), JSON.stringify(violations))
  })
}

t.test('counts', async (t) => {
  const events = [
    ...begin,
    saw(1),
    close,
    open,
    asked(1),
    subscribed(2, true),
    saw(2),
    hole(4),
    close,
    open,
    asked(4),
    subscribed(5)
  ]
  const { figures, gaps } = check({
    clients: [{ name: 'one', events }],
    publishes: [told(1), told(2), without('unknown', 7), without('error', 8)],
    finals: [final([1, 2, 3, 4, 5])]
  })
  t.strictSame(figures, {
    published: 4,
    acked: 2,
    refused: 1,
    unknown: 1,
    delivered: 2,
    gapsDeclared: 2,
    recovered: 1
  })
  t.strictSame(gaps, new Map([[channel, 2]]))
})
