import t, { type Test } from 'tap'
import {
  checkChannel,
  checkConnections,
  checkDisconnect,
  checkExpiry,
  checkHistory,
  checkSubscribe,
  checkTarget
} from '../../lib/node/call-arguments.ts'

const code = 'FST_RT_INVALID_ARGUMENT'

/** Fails unless it takes each of these, and throws for each of those, naming the argument. */
function table(
  check: (value: never) => void,
  right: readonly unknown[],
  wrong: readonly [value: unknown, argument: string][]
): (t: Test) => Promise<void> {
  return async (t) => {
    for (const value of right) t.doesNotThrow(() => check(value as never), String(JSON.stringify(value)))
    for (const [value, argument] of wrong) {
      const message = new RegExp(`^Argument ${argument}: `)
      t.throws(() => check(value as never), { code, message }, String(JSON.stringify(value)))
    }
  }
}

t.test('a channel', async (t) => {
  checkChannel('a')
  for (const channel of ['', '\0', 5]) {
    t.throws(() => checkChannel(channel as string), { code: 'FST_RT_INVALID_CHANNEL' })
  }
})

t.test(
  'a target',
  table(
    checkTarget,
    [
      { user: 'a' },
      { connection: 'c' },
      { user: 'a', connection: 'c' },
      { user: undefined, connection: 'c' },
      { channel: 'a' },
      { user: 'a', channel: 'a' }
    ],
    [
      [undefined, 'target'],
      [null, 'target'],
      ['a', 'target'],
      [{}, 'target'],
      [{ user: undefined }, 'target'],
      [{ user: null, connection: 'c' }, 'target'],
      [{ user: 5 }, 'target'],
      [{ channel: 5 }, 'target'],
      [{ user: 'a', conection: 'c' }, 'target']
    ]
  )
)

t.test('a target that is no channel', async (t) => {
  t.throws(() => checkTarget({ channel: '' }), { code: 'FST_RT_INVALID_CHANNEL' })
})

t.test(
  'what a connection is closed with',
  table(
    checkDisconnect,
    [{}, { code: undefined }, { code: 1000 }, { code: 3000 }, { code: 4999, reason: '' }, { reason: 'x'.repeat(200) }],
    [
      [null, 'options'],
      [{ status: 4000 }, 'options'],
      ...[0, 1001, 1006, 2999, 5000, 4000.5, Number.NaN, '4000', null].map((code): [unknown, string] => [
        { code },
        'code'
      ]),
      [{ reason: 5 }, 'reason']
    ]
  )
)

t.test(
  'when it expires',
  table(
    checkExpiry,
    [0, 1.5, 4e9],
    [Number.NaN, Number.POSITIVE_INFINITY, undefined, null, '5', new Date()].map((value) => [value, 'expiresAt'])
  )
)

t.test(
  'how much of its history',
  table(
    checkHistory,
    [{}, { limit: 0 }, { limit: 100_000, reverse: true, since: { offset: 0, epoch: '' } }, { since: undefined }],
    [
      [null, 'options'],
      [{ limt: 5 }, 'options'],
      ...[-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 100_001, '2', null].map((limit): [unknown, string] => [
        { limit },
        'limit'
      ]),
      [{ reverse: 'yes' }, 'reverse'],
      [{ since: null }, 'since'],
      [{ since: 5 }, 'since'],
      [{ since: { offset: 1 } }, 'since'],
      ...[undefined, -1, 1.5, Number.NaN, '1', 2 ** 53].map((offset): [unknown, string] => [
        { since: { offset, epoch: 'e' } },
        'since.offset'
      ])
    ]
  )
)

t.test(
  'which connections',
  table(
    checkConnections,
    [
      { cluster: true },
      { cluster: true, limit: 1 },
      { cluster: true, limit: 1_000, cursor: 'n.' },
      { cluster: true, cursor: 'n.c' }
    ],
    [
      [null, 'options'],
      ['all', 'options'],
      [{ cluster: true, size: 5 }, 'options'],
      [{}, 'cluster'],
      [{ cluster: false }, 'cluster'],
      ...[0, 1_001, 1.5, '5', null].map((limit): [unknown, string] => [{ cluster: true, limit }, 'limit']),
      ...['', 'n', 'n.c.d', 'a b.c', 5, null].map((cursor): [unknown, string] => [{ cluster: true, cursor }, 'cursor'])
    ]
  )
)

t.test('the options of `subscribe`', async (t) => {
  const filter = { key: 'k', cmp: 'ex' } as const
  for (const options of [{}, { filter: undefined }, { filter }]) t.doesNotThrow(() => checkSubscribe(options))
  const large = { op: 'and', nodes: [{ ...filter, more: 'x'.repeat(8_192) }] }
  for (const wrong of [{ filter: { key: 'k' } }, { filter: null }, { filter: large }]) {
    t.throws(() => checkSubscribe(wrong as never), { code, message: /^Argument filter: give a filter by tags/ })
  }
  t.throws(() => checkSubscribe({ filters: filter } as never), { code, message: /^Argument options: / })
})
