import { once } from 'node:events'
import Fastify from 'fastify'
import { WebSocket } from 'ws'
import type { Publication } from '../../../lib/broker/broker.ts'
import { type CursorFeed, StreamCursor } from '../../../lib/hub/cursor.ts'
import { PlainRound } from '../../../lib/hub/round.ts'
import realtime from '../../../lib/index.ts'
import { compileFilter, type TagsFilter } from '../../../lib/protocol/tags-filter.ts'
import { contender, type Row } from '../row.ts'

/* What deltas save on the wire, and what a filter costs. Bytes are the same in every run. */

const PUBLICATIONS = 500
const WHOLE = 'whole'
const DELTAS = 'deltas'

/** Bytes that a client reads for each publication, with all frame headers. */
async function bytesOf(delta: string, publication: (n: number) => unknown): Promise<number> {
  const app = Fastify()
  await app.register(realtime, { auth: false })
  app.channel('forms', { onSubscribe: true, delta: true, history: { size: 10, ttl: 60_000 } })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const client = new WebSocket(`ws://127.0.0.1:${port}/connection/websocket`)
  try {
    await once(client, 'open')
    const socket = (client as unknown as { _socket: { bytesRead: number } })._socket
    const commands = [
      { id: 1, connect: {} },
      { id: 2, subscribe: { channel: 'forms', delta } }
    ]
    for (const command of commands) {
      client.send(JSON.stringify(command))
      await once(client, 'message')
    }
    const before = socket.bytesRead
    for (let n = 0; n < PUBLICATIONS; n++) {
      const received = once(client, 'message')
      await app.realtime.publish('forms', publication(n))
      await received
    }
    return (socket.bytesRead - before) / PUBLICATIONS
  } finally {
    client.terminate()
    await app.close()
  }
}

function bytesRow(name: string, work: string, title: string, must: number, publication: (n: number) => unknown): Row {
  const measure = (figure: string, delta: string) =>
    contender(figure, async () => ({ value: await bytesOf(delta, publication), contention: 0 }))
  return {
    name,
    title,
    unit: 'bytes on the wire each',
    better: 'less',
    contenders: [measure(WHOLE, ''), measure(DELTAS, 'fossil')],
    control: WHOLE,
    goals: [{ work: `${work}: deltas / whole, bytes`, figure: DELTAS, against: WHOLE, must, aim: must / 2 }]
  }
}

/** Text of which no part occurs twice. */
function text(length: number): string {
  let text = ''
  for (let n = 0; text.length < length; n++) text += `${n * 7919} `
  return text.slice(0, length)
}

const LONG = text(20 * PUBLICATIONS)

export const growingText = bytesRow(
  'delta-text',
  'a growing text',
  `A text that grows by 20 bytes in each of ${PUBLICATIONS} publications`,
  1 / 20,
  (n) => ({ text: LONG.slice(0, 20 * (n + 1)) })
)

// 2 KB of JSON.
const FIELDS = Array.from({ length: 80 }, (_, n) => [`field${n}`, `a value: ${n * 7919}`] as const)

/** The last publication up to `n` in which the field changed. */
function lastChange(field: number, n: number): number {
  return n - ((n - field) % FIELDS.length)
}

export const changingState = bytesRow(
  'delta-state',
  'a changing state',
  'A JSON state of 2 KB of which one field changes',
  1 / 8,
  (n) => Object.fromEntries(FIELDS.map(([key, value], at) => [key, at > n ? value : `changed: ${lastChange(at, n)}`]))
)

const SUBSCRIBERS = 1_000
const ROUNDS = 2_000
const BARE = 'without a filter'
const ONE = 'one comparison'
const FIVE = 'five comparisons, one of them of numbers'

function cost(figure: string, filter: TagsFilter | undefined) {
  return contender(figure, async () => {
    const subscriber = { outbox: {}, closed: false, maxSubscriptions: 1, insufficientState() {} }
    const cursors = Array.from(
      { length: SUBSCRIBERS },
      () => new StreamCursor(subscriber as never, {} as CursorFeed, filter)
    )
    const tags = new Map(Object.entries({ ticker: 'ETH', region: 'eu', price: '2500.75' }))
    const publication: Publication = { offset: 1, epoch: 'e', data: Buffer.from('1'), tags }
    const frames = [Buffer.from('1')]
    const play = () => {
      let received = 0
      for (let round = 0; round < ROUNDS; round++) {
        const one = new PlainRound(frames, undefined, [publication])
        for (const cursor of cursors) if (one.partFor(cursor) !== undefined) received++
      }
      return received
    }
    play()
    const before = process.cpuUsage()
    play()
    const { user, system } = process.cpuUsage(before)
    return { value: ((user + system) * 1_000) / (ROUNDS * SUBSCRIBERS), contention: 0 }
  })
}

export const filterCost: Row = {
  name: 'filters',
  title: 'Choosing what one of 1,000 subscribers receives of a publication',
  unit: 'CPU nanoseconds each',
  better: 'less',
  contenders: [
    cost(BARE, undefined),
    cost(ONE, compileFilter({ key: 'ticker', cmp: 'eq', val: 'BTC' })),
    cost(
      FIVE,
      compileFilter({
        op: 'and',
        nodes: [
          { op: 'or', nodes: ['BTC', 'SOL', 'ETH'].map((val) => ({ key: 'ticker', cmp: 'eq', val })) },
          { key: 'region', cmp: 'in', vals: ['us', 'eu'] },
          { key: 'price', cmp: 'gt', val: '3000.5' }
        ]
      })
    )
  ],
  goals: [{ work: 'a filter with five comparisons, ns for each subscriber', figure: FIVE, must: 1_000, aim: 500 }]
}
