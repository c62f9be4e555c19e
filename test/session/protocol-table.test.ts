import t from 'tap'
import { ChannelError, forbidden } from '../../lib/index.ts'
import { ERROR } from '../../lib/protocol/channel-errors.ts'
import { DISCONNECT } from '../../lib/protocol/disconnect-codes.ts'
import { testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { Speaker } from '../support/speaker.ts'

/* For every command, each good and bad shape, and what exactly is answered. */

const history = { size: 3, ttl: 60_000 }
const { app, logs } = await buildApp(t, {
  limits: { subscriptions: 6 },
  channels: { maxCalls: 2, onMessage: () => undefined }
})
const publishers = 'clients'
app.channel('open/:id', { publishers, onSubscribe: true, onPublish: () => undefined })
app.channel('kept/:id', { onSubscribe: true, history, onPublish: true })
app.channel('closed/:id')
app.channel('silent/:id', { onSubscribe: true })
app.channel('present/:id', { onSubscribe: true, presence: true })
app.channel('guarded/:id', {
  publishers,
  history,
  presence: true,
  onSubscribe: ({ params }) => {
    if (params.id === 'late') return { expiresAt: 1 }
    if (params.id === 'broken') throw new Error('a secret of the server')
    if (params.id === 'out') throw new ChannelError(4501, 'banned')
    if (params.id === 'own') throw new ChannelError(1000, 'moon in the wrong phase', { temporary: true })
    throw forbidden()
  },
  onPublish: () => {
    throw forbidden('read only')
  },
  onHistory: () => undefined,
  onPresence: () => undefined
})
app.channel('tokens/:id', { token: true })
app.channel('strict/:id', {
  publishers,
  onSubscribe: true,
  schema: {
    params: { type: 'object', properties: { id: { type: 'integer' } } },
    publication: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } }
  },
  onPublish: ({ params, data }) => {
    if ((params as { id: unknown }).id === 7 && (data as { n: number }).n === 7) throw new ChannelError(777, 'seven')
  }
})
app.rpc('double', async ({ data }) => (data as number) * 2)
app.rpc('nothing', () => undefined)
app.rpc('fail', () => {
  throw new Error('a secret of the server')
})
app.rpc('refuse', () => {
  throw new ChannelError(450, 'no')
})
app.rpc(
  'strict',
  {
    schema: {
      data: { type: 'object', required: ['a'], properties: { a: { type: 'string' } } },
      response: { type: 'object', properties: { b: { type: 'string' } } }
    }
  },
  ({ data }) => ({ b: (data as { a: string }).a, hidden: true })
)

const error = ({ code, message, temporary }: { code: number; message: string; temporary?: boolean }) => ({
  error: { code, message, ...(temporary && { temporary }) }
})
const deep = `${'['.repeat(70)}${']'.repeat(70)}`
const epoch = (await app.realtime.publish('kept/full', 1)).epoch
for (let n = 2; n <= 5; n++) await app.realtime.publish('kept/full', n)
const full = { epoch, offset: 5 }

/** What is said by a client that is connected, and the answers, or the code that ends it. */
type Row = [title: string, say: string | object | object[], ...answers: (object | typeof DISCONNECT.badRequest)[]]
const isEnd = (answer: object): answer is { code: number; reason: string } => 'reason' in answer

const rows: Row[] = [
  ['no JSON', '{', DISCONNECT.badRequest],
  ['an empty frame', '', DISCONNECT.badRequest],
  ['an empty line', '\n', DISCONNECT.badRequest],
  ['an empty line between', '{"id":1,"ping":{}}\n\n{"id":2,"ping":{}}', DISCONNECT.badRequest],
  ['a newline at the end', '{"id":1,"ping":{}}\n', { id: 1, ping: {} }],
  ['null', 'null', DISCONNECT.badRequest],
  ['a list', '[]', DISCONNECT.badRequest],
  ['a string', '"x"', DISCONNECT.badRequest],
  ['a byte order mark', '\ufeff{"id":1,"ping":{}}', DISCONNECT.badRequest],
  ['too deep', `{"id":1,"send":{"data":${deep}}}`, DISCONNECT.badRequest],
  ['a command without an id', { ping: {} }, DISCONNECT.badRequest],
  ['a negative id', { id: -1, ping: {} }, DISCONNECT.badRequest],
  ['an id that is no number', { id: 'x', ping: {} }, DISCONNECT.badRequest],
  ['an id that is too large', { id: 2 ** 32, ping: {} }, DISCONNECT.badRequest],
  ['an id as a string', { id: '7', ping: {} }, { id: 7, ping: {} }],
  ['an id without a command', { id: 1 }, DISCONNECT.badRequest],
  ['an unknown command', { id: 1, dance: {} }, DISCONNECT.badRequest],
  ['a command that objects inherit', { id: 1, toString: {} }, DISCONNECT.badRequest],
  ['an unknown field', { id: 1, ping: {}, colour: 'red' }, { id: 1, ping: {} }],
  ['a request that is no object', { id: 1, ping: 5 }, DISCONNECT.badRequest],
  ['a request that is null, beside another', { id: 1, subscribe: null, ping: {} }, { id: 1, ping: {} }],
  ['a pong that nobody asked for', [{}, { id: 1, ping: {} }], { id: 1, ping: {} }],
  [
    'several commands in one frame',
    [
      { id: 1, ping: {} },
      { id: 2, ping: {} }
    ],
    { id: 1, ping: {} },
    { id: 2, ping: {} }
  ],
  ['a key for prototypes', '{"id":3,"send":{"data":{"__proto__":{"a":1}}}}', { id: 3, ...error(ERROR.badRequest) }],
  [
    'the same, spelt with escapes',
    '{"id":3,"rpc":{"data":{"\\u005f_proto__":1}}}',
    { id: 3, ...error(ERROR.badRequest) }
  ],
  ['a number that is none', '{"id":3,"rpc":{"method":"double","data":1e999}}', { id: 3, ...error(ERROR.badRequest) }],
  ['half a character', '{"id":3,"rpc":{"method":"double","data":"\\ud800"}}', { id: 3, ...error(ERROR.badRequest) }],

  ['connect twice', { id: 1, connect: {} }, DISCONNECT.badRequest],

  ['subscribe', { id: 1, subscribe: { channel: 'open/1' } }, { id: 1, subscribe: {} }],
  ['subscribe without a channel', { id: 1, subscribe: {} }, DISCONNECT.badRequest],
  ['subscribe to a number', { id: 1, subscribe: { channel: 5 } }, DISCONNECT.badRequest],
  ['subscribe, recover no boolean', { id: 1, subscribe: { channel: 'open/1', recover: 1 } }, DISCONNECT.badRequest],
  [
    'subscribe, epoch no string',
    { id: 1, subscribe: { channel: 'kept/1', recover: true, epoch: 1 } },
    DISCONNECT.badRequest
  ],
  ['subscribe to no name', { id: 1, subscribe: { channel: 'a\u0000b' } }, { id: 1, ...error(ERROR.badRequest) }],
  [
    'subscribe to an unknown channel',
    { id: 1, subscribe: { channel: 'nowhere' } },
    { id: 1, ...error(ERROR.unknownChannel) }
  ],
  [
    'subscribe, parameters invalid',
    { id: 1, subscribe: { channel: 'strict/x' } },
    { id: 1, ...error(ERROR.unknownChannel) }
  ],
  ['subscribe, denied', { id: 1, subscribe: { channel: 'guarded/1' } }, { id: 1, ...error(ERROR.permissionDenied) }],
  [
    'subscribe, its hook fails',
    { id: 1, subscribe: { channel: 'guarded/broken' } },
    { id: 1, ...error(ERROR.internal) }
  ],
  ['subscribe, thrown out', { id: 1, subscribe: { channel: 'guarded/out' } }, { code: 4501, reason: 'banned' }],
  [
    'subscribe, an error of the application',
    { id: 1, subscribe: { channel: 'guarded/own' } },
    { id: 1, error: { code: 1000, message: 'moon in the wrong phase', temporary: true } }
  ],
  ['subscribe, expired at once', { id: 1, subscribe: { channel: 'guarded/late' } }, { id: 1, ...error(ERROR.expired) }],
  [
    'subscribe without its token',
    { id: 1, subscribe: { channel: 'tokens/1' } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],
  [
    'subscribe with a token that is none',
    { id: 1, subscribe: { channel: 'tokens/1', token: 'x' } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],
  [
    'subscribe with an expired token',
    { id: 1, subscribe: { channel: 'tokens/1', token: testToken({ channel: 'tokens/1' }, { expiresIn: -60_000 }) } },
    { id: 1, ...error(ERROR.tokenExpired) }
  ],
  [
    "subscribe with another channel's token",
    { id: 1, subscribe: { channel: 'tokens/1', token: testToken({ channel: 'tokens/2' }) } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],
  [
    "subscribe with another user's token",
    { id: 1, subscribe: { channel: 'tokens/1', token: testToken({ sub: 'eve', channel: 'tokens/1' }) } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],
  [
    'subscribe twice',
    [
      { id: 1, subscribe: { channel: 'open/1' } },
      { id: 2, subscribe: { channel: 'open/1' } }
    ],
    { id: 1, subscribe: {} },
    { id: 2, ...error(ERROR.alreadySubscribed) }
  ],
  [
    'one subscription too many',
    [1, 2, 3, 4, 5, 6, 7].map((id) => ({ id, subscribe: { channel: `open/${id}` } })),
    // What is refused at once is answered at once.
    { id: 7, ...error(ERROR.limitExceeded) },
    ...[1, 2, 3, 4, 5, 6].map((id) => ({ id, subscribe: {} }))
  ],
  [
    'recover all of it',
    { id: 1, subscribe: { channel: 'kept/full', recover: true, epoch, offset: 3 } },
    {
      id: 1,
      subscribe: {
        recoverable: true,
        epoch,
        offset: 3,
        positioned: true,
        publications: [
          { data: 4, offset: 4 },
          { data: 5, offset: 5 }
        ],
        was_recovering: true,
        recovered: true
      }
    }
  ],
  [
    'recover, the offset as a string',
    { id: 1, subscribe: { channel: 'kept/full', recover: true, epoch, offset: '5' } },
    {
      id: 1,
      subscribe: { recoverable: true, ...full, positioned: true, was_recovering: true, recovered: true }
    }
  ],
  ...(
    [
      ['what is trimmed', { epoch, offset: 1 }],
      ['from the beginning of what is trimmed', {}],
      ['another epoch', { epoch: 'other', offset: 4 }],
      ['no epoch', { offset: 4 }],
      ['a future offset', { epoch, offset: 6 }],
      ['offset -1', { epoch, offset: -1 }],
      ['offset 1.5', { epoch, offset: 1.5 }],
      ['offset 2^53 + 1', { epoch, offset: '9007199254740993' }],
      ['an offset that is a word', { epoch, offset: 'x' }]
    ] as const
  ).map(
    ([what, since]): Row => [
      `recover ${what}`,
      { id: 1, subscribe: { channel: 'kept/full', recover: true, ...since } },
      { id: 1, subscribe: { recoverable: true, ...full, positioned: true, was_recovering: true } }
    ]
  ),
  [
    'recover or nothing',
    { id: 1, subscribe: { channel: 'kept/full', recover: true, epoch: 'other', offset: 1, flag: 3 } },
    { id: 1, ...error(ERROR.unrecoverablePosition) }
  ],
  [
    'recover where nothing is kept',
    { id: 1, subscribe: { channel: 'open/1', recover: true, epoch: 'x', offset: 1 } },
    { id: 1, subscribe: { was_recovering: true } }
  ],

  ['unsubscribe', { id: 1, unsubscribe: { channel: 'open/1' } }, { id: 1, unsubscribe: {} }],
  ['unsubscribe without a channel', { id: 1, unsubscribe: {} }, DISCONNECT.badRequest],
  [
    'subscribe, unsubscribe, subscribe',
    [
      { id: 1, subscribe: { channel: 'open/1' } },
      { id: 2, unsubscribe: { channel: 'open/1' } },
      { id: 3, subscribe: { channel: 'open/1' } }
    ],
    { id: 1, subscribe: {} },
    { id: 2, unsubscribe: {} },
    { id: 3, subscribe: {} }
  ],

  ['publish', { id: 1, publish: { channel: 'open/1', data: {} } }, { id: 1, publish: {} }],
  ['publish null', { id: 1, publish: { channel: 'open/1', data: null } }, { id: 1, publish: {} }],
  ['publish without a channel', { id: 1, publish: { data: 1 } }, DISCONNECT.badRequest],
  ['publish nothing', { id: 1, publish: { channel: 'open/1' } }, { id: 1, ...error(ERROR.badRequest) }],
  [
    'publish to an unknown channel',
    { id: 1, publish: { channel: 'x', data: 1 } },
    { id: 1, ...error(ERROR.unknownChannel) }
  ],
  [
    'publish where clients may not',
    { id: 1, publish: { channel: 'silent/1', data: 1 } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],
  [
    'publish where no hook was declared',
    { id: 1, publish: { channel: 'closed/1', data: 1 } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],
  [
    'publish without a subscription',
    { id: 1, publish: { channel: 'kept/1', data: 1 } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],
  [
    'subscribe where no hook was declared',
    { id: 1, subscribe: { channel: 'closed/1' } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],
  [
    'publish, denied with words',
    { id: 1, publish: { channel: 'guarded/1', data: 1 } },
    { id: 1, error: { code: 103, message: 'read only' } }
  ],
  [
    'publish what the schema refuses',
    { id: 1, publish: { channel: 'strict/1', data: {} } },
    { id: 1, ...error(ERROR.badRequest) }
  ],
  [
    'publish what the schema takes',
    { id: 1, publish: { channel: 'strict/1', data: { n: 1 } } },
    { id: 1, publish: {} }
  ],
  [
    "publish what the hook doesn't like",
    { id: 1, publish: { channel: 'strict/7', data: { n: 7 } } },
    { id: 1, error: { code: 777, message: 'seven' } }
  ],

  ['history without a channel', { id: 1, history: {} }, DISCONNECT.badRequest],
  ['history of an unknown channel', { id: 1, history: { channel: 'x' } }, { id: 1, ...error(ERROR.unknownChannel) }],
  ['history of a channel without', { id: 1, history: { channel: 'open/1' } }, { id: 1, ...error(ERROR.notAvailable) }],
  [
    'history, not subscribed',
    { id: 1, history: { channel: 'kept/full' } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],
  ['history, a limit that is none', { id: 1, history: { channel: 'kept/full', limit: 1.5 } }, DISCONNECT.badRequest],
  ['history, since no object', { id: 1, history: { channel: 'kept/full', since: 5 } }, DISCONNECT.badRequest],
  ...(
    [
      ['the position alone', {}, []],
      ['all', { limit: -1 }, [3, 4, 5]],
      ['some', { limit: 2 }, [3, 4]],
      ['the newest first', { limit: '2', reverse: true }, [5, 4]],
      ['a page', { limit: 1, since: { offset: 3, epoch } }, [4]],
      ['a page backwards', { limit: 1, since: { offset: 5, epoch }, reverse: true }, [4]],
      ['since an offset without an epoch', { limit: 9, since: { offset: '4' } }, [5]]
    ] as [string, object, number[]][]
  ).map(
    ([what, query, offsets]): Row => [
      `history: ${what}`,
      [
        { id: 1, subscribe: { channel: 'kept/full' } },
        { id: 2, history: { channel: 'kept/full', ...query } }
      ],
      { id: 1, subscribe: { recoverable: true, ...full, positioned: true } },
      { id: 2, history: { publications: offsets.map((offset) => ({ data: offset, offset })), ...full } }
    ]
  ),
  [
    'history allowed by its hook, since another epoch',
    { id: 1, history: { channel: 'guarded/1', limit: 1, since: { offset: 1, epoch: 'x' } } },
    { id: 1, ...error(ERROR.unrecoverablePosition) }
  ],
  [
    'history since no offset',
    { id: 1, history: { channel: 'guarded/1', limit: 1, since: { offset: -1 } } },
    { id: 1, ...error(ERROR.unrecoverablePosition) }
  ],

  ['presence without a channel', { id: 1, presence: {} }, DISCONNECT.badRequest],
  ['presence of an unknown channel', { id: 1, presence: { channel: 'x' } }, { id: 1, ...error(ERROR.unknownChannel) }],
  [
    'presence of a channel without',
    { id: 1, presence: { channel: 'open/1' } },
    { id: 1, ...error(ERROR.notAvailable) }
  ],
  [
    'presence, not subscribed',
    { id: 1, presence: { channel: 'present/1' } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],
  [
    'presence, allowed by its hook',
    { id: 1, presence: { channel: 'guarded/1' } },
    { id: 1, presence: { presence: {} } }
  ],
  ['presence stats without a channel', { id: 1, presence_stats: {} }, DISCONNECT.badRequest],
  [
    'presence stats, not subscribed',
    { id: 1, presence_stats: { channel: 'present/1' } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],
  [
    'presence stats, allowed by its hook',
    { id: 1, presence_stats: { channel: 'guarded/1' } },
    { id: 1, presence_stats: { num_clients: 0, num_users: 0 } }
  ],

  ['rpc', { id: 1, rpc: { method: 'double', data: 21 } }, { id: 1, rpc: { data: 42 } }],
  ['rpc that gives nothing', { id: 1, rpc: { method: 'nothing' } }, { id: 1, rpc: { data: null } }],
  ['rpc of no method', { id: 1, rpc: {} }, { id: 1, ...error(ERROR.methodNotFound) }],
  ['rpc of an unknown method', { id: 1, rpc: { method: 'toString' } }, { id: 1, ...error(ERROR.methodNotFound) }],
  ['rpc, the method no string', { id: 1, rpc: { method: {} } }, DISCONNECT.badRequest],
  ['rpc that fails', { id: 1, rpc: { method: 'fail' } }, { id: 1, ...error(ERROR.internal) }],
  ['rpc that refuses', { id: 1, rpc: { method: 'refuse' } }, { id: 1, error: { code: 450, message: 'no' } }],
  ['rpc with invalid data', { id: 1, rpc: { method: 'strict', data: 5 } }, { id: 1, ...error(ERROR.badRequest) }],
  ['rpc without the data it needs', { id: 1, rpc: { method: 'strict' } }, { id: 1, ...error(ERROR.badRequest) }],
  ['rpc by its schemas', { id: 1, rpc: { method: 'strict', data: { a: 'x' } } }, { id: 1, rpc: { data: { b: 'x' } } }],

  ['send', [{ send: { data: 1 } }, { id: 1, ping: {} }], { id: 1, ping: {} }],
  [
    'send with an id',
    [
      { id: 9, send: { data: 1 } },
      { id: 1, ping: {} }
    ],
    { id: 1, ping: {} }
  ],

  ['refresh without a token', { id: 1, refresh: {} }, DISCONNECT.badRequest],
  ['refresh with no token', { id: 1, refresh: { token: 'x' } }, { id: 1, ...error(ERROR.unauthorized) }],
  [
    'refresh with an expired token',
    { id: 1, refresh: { token: testToken({}, { expiresIn: -60_000 }) } },
    { id: 1, ...error({ ...ERROR.tokenExpired, temporary: true }) }
  ],
  [
    "refresh with another user's token",
    { id: 1, refresh: { token: testToken({ sub: 'eve' }) } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],

  ['sub_refresh without a channel', { id: 1, sub_refresh: { token: 'x' } }, DISCONNECT.badRequest],
  [
    'sub_refresh, not subscribed',
    { id: 1, sub_refresh: { channel: 'tokens/1', token: 'x' } },
    { id: 1, ...error(ERROR.permissionDenied) }
  ],
  [
    'sub_refresh of what does not expire',
    [
      { id: 1, subscribe: { channel: 'open/1' } },
      { id: 2, sub_refresh: { channel: 'open/1', token: 'x' } }
    ],
    { id: 1, subscribe: {} },
    { id: 2, ...error(ERROR.notAvailable) }
  ]
]

for (const [title, say, ...answers] of rows) {
  t.test(title, async (t) => {
    const speaker = await Speaker.open(app, { memory: true, token: testToken() })
    if (typeof say === 'string') speaker.raw(say)
    else speaker.send(...[say].flat())
    for (const answer of answers) {
      if (isEnd(answer)) t.same(await speaker.closed(), { code: answer.code, reason: answer.reason })
      else t.same(await speaker.next(), answer)
    }
    if (!answers.some(isEnd)) {
      await speaker.socket.expectNothing()
      await speaker.socket.close(1000)
    }
  })
}

t.test('only what nobody foresaw is logged, once each, and no detail is told', async (t) => {
  const lines = atLeast(logs, 'warn')
  t.same(
    lines.map(({ msg, command, hook }) => [msg, command ?? hook]),
    [
      ['channel command failed', 'subscribe'],
      ['channel hook missing', 'onPublish'],
      ['channel hook missing', 'onPublish'],
      ['channel hook missing', 'onSubscribe'],
      ['channel command failed', 'rpc']
    ]
  )
})
