import { type Test, test } from 'tap'
import { Exchange, type Watcher } from '../../lib/dashboard/exchange.ts'
import type { PageMessage } from '../../lib/dashboard/messages.ts'
import { DASHBOARD_CHANNEL, type NodeMessage, writeMessage } from '../../lib/dashboard/node-message.ts'
import { keyOf, type Query } from '../../lib/dashboard/query.ts'
import type { Insight } from '../../lib/node/insight.ts'
import { snapshotOf } from './snapshot.ts'
import { nodeWith } from './tables.ts'

const QUERY: Query = { view: 'connections', order: 'age', descending: false, search: '' }
const HOUR = 3_600_000

/** Nodes that share a broker in memory, and whose clocks the test sets. */
class Stage {
  readonly nodes: { exchange: Exchange; listeners: Map<string, (publication: never) => void> }[] = []
  readonly published: string[] = []
  readonly logs: object[] = []
  readonly #waiting = new Set<() => void>()
  /** Milliseconds. */
  time = 1_000_000
  up = true
  failure: Error | undefined
  subscribed = 0
  readonly #t: Test

  constructor(t: Test) {
    this.#t = t
    // The timers of an exchange do not keep a process alive.
    const alive = setInterval(() => {}, 60_000)
    t.teardown(() => clearInterval(alive))
  }

  add(name: string, { ahead = 0, kind = 'redis' as 'redis' | 'memory' } = {}) {
    const listeners = new Map<string, (publication: never) => void>()
    const stage = this
    const broker = {
      get up() {
        return stage.up
      },
      subscribe: async () => {
        if (this.failure) throw this.failure
        this.subscribed++
        this.changed()
      },
      publish: async (channel: string, data: Buffer) => {
        if (this.failure) throw this.failure
        this.published.push(JSON.parse(data.toString()).kind)
        for (const node of this.nodes) node.listeners.get(channel)?.({ data } as never)
        this.changed()
      }
    }
    const metrics = {
      figures: () => {
        if (this.broken) throw new Error('broken')
        this.samples++
        this.changed()
        const { node: _, name: __, pid, at, broker: ___, busy, memory, slow, last, ...figures } = snapshotOf()
        return figures
      }
    }
    const { registry, hub } = nodeWith([{ id: `c-${name}`, user: name }])
    const insight = { kind, node: { listeners, metrics, broker, registry, hub } } as unknown as Insight
    const log = {
      warn: (members: object) => {
        this.logs.push(members)
        this.changed()
      }
    }
    const now = () => this.time + ahead
    const exchange = new Exchange({ insight, name, now, log: log as never, period: 20 })
    this.#t.teardown(() => exchange.stop())
    this.nodes.push({ exchange, listeners })
    return exchange
  }

  broken = false
  samples = 0

  watch(exchange: Exchange, past = true, query = QUERY) {
    const messages: PageMessage[] = []
    const watcher: Watcher & { ended: boolean } = {
      query,
      ended: false,
      send: (line) => {
        messages.push(JSON.parse(line))
        this.changed()
      },
      end() {
        this.ended = true
      }
    }
    exchange.open(watcher, past)
    return { messages, watcher, kinds: () => messages.map(({ kind }) => kind) }
  }

  changed(): void {
    for (const wake of this.#waiting) wake()
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve)
      })
    }
  }
}

const nodeOf = (message: PageMessage) =>
  message.kind === 'now' ? message.snapshot.node : 'node' in message && message.node

test('a page gets what its node knows at once, and then live', async (t) => {
  const stage = new Stage(t)
  const exchange = stage.add('web', { kind: 'memory' })
  exchange.start()
  const { messages, kinds } = stage.watch(exchange)
  t.same(kinds(), ['hello', 'past', 'now'])
  t.match(messages, [
    { node: exchange.node, now: 1_000_000 },
    { node: exchange.node, samples: [{ name: 'web' }] }
  ])
  await stage.until(() => kinds().includes('table') && kinds().filter((kind) => kind === 'now').length > 2)
  t.match(
    messages.find(({ kind }) => kind === 'table'),
    { node: exchange.node, query: keyOf(QUERY), total: 1 }
  )
  t.same(stage.published, [], 'a node alone publishes nothing')
  t.same(stage.watch(exchange, false).kinds(), ['hello', 'now'])
  t.equal(exchange.pages, 2)
})

test('other nodes send their past, what is now, and their tables, in times of the node with the page', async (t) => {
  const stage = new Stage(t)
  const [first, second] = [stage.add('one'), stage.add('two', { ahead: HOUR })]
  for (const exchange of [first, second]) exchange.start()
  await stage.until(() => stage.subscribed === 2)
  t.same(stage.published, [], 'nothing while no page is open')
  const { messages, watcher } = stage.watch(first)
  const others = () => messages.filter((message) => nodeOf(message) === second.node)
  await stage.until(() => new Set(others().map(({ kind }) => kind)).size === 3)
  const past = others().find(({ kind }) => kind === 'past') as PageMessage & { kind: 'past' }
  t.equal(past.samples[0]?.at, 1_000_000)
  t.equal(past.samples[0]?.broker?.since, 1_000_000)
  const now = others().find(({ kind }) => kind === 'now') as PageMessage & { kind: 'now' }
  t.ok(Math.abs(now.snapshot.at - 1_000_000) < 1_000)
  t.match(
    others().find(({ kind }) => kind === 'table'),
    { query: keyOf(QUERY), total: 1 }
  )

  await stage.until(() => stage.published.filter((kind) => kind === 'ask').length > 3)

  first.close(watcher)
  stage.time += 6_000
  const sampled = stage.samples
  await stage.until(() => stage.samples > sampled + 6)
  stage.published.length = 0
  const resting = stage.samples
  await stage.until(() => stage.samples > resting + 6)
  t.same(stage.published, [], 'and nothing after the page has left')
  const { messages: later } = stage.watch(second, false)
  await stage.until(() => later.some((message) => nodeOf(message) === first.node))
  t.notOk(later.some(({ kind }) => kind === 'past'))
})

test('an answer goes to the pages that asked for it', async (t) => {
  const stage = new Stage(t)
  const exchange = stage.add('one')
  const other = { ...QUERY, search: 'x' }
  const [a, b] = [stage.watch(exchange), stage.watch(exchange, false, other)]
  await stage.until(() => [a, b].every(({ kinds }) => kinds().includes('table')))
  const queries = ({ messages }: typeof a) =>
    messages.flatMap((message) => (message.kind === 'table' ? message.query : []))
  t.same(new Set(queries(a)), new Set([keyOf(QUERY)]))
  t.same(new Set(queries(b)), new Set([keyOf(other)]))
})

test('what is no message, or our own, is ignored', async (t) => {
  const stage = new Stage(t)
  const exchange = stage.add('one')
  const receive = (data: Buffer) => stage.nodes[0]?.listeners.get(DASHBOARD_CHANNEL)?.({ data } as never)
  const past: NodeMessage = { kind: 'past', node: 'other', sentAt: 1, samples: [] }
  receive(writeMessage(past))
  const { messages } = stage.watch(exchange)
  const before = messages.length
  receive(Buffer.from('no JSON'))
  receive(writeMessage({ ...past, node: exchange.node }))
  t.equal(messages.length, before)
  receive(writeMessage(past))
  t.match(messages.at(-1), { kind: 'past', node: 'other' })
})

test('the end: a last snapshot, and no more', async (t) => {
  const stage = new Stage(t)
  const [first, second] = [stage.add('one'), stage.add('two')]
  for (const exchange of [first, second]) exchange.start()
  await stage.until(() => stage.subscribed === 2)
  const { messages } = stage.watch(first)
  const { watcher, messages: own } = stage.watch(second)
  await stage.until(() => messages.some((message) => nodeOf(message) === second.node))
  await second.stop()
  await second.stop()
  t.ok(messages.some((message) => message.kind === 'now' && message.snapshot.last))
  t.match(own.at(-1), { kind: 'end' })
  t.ok(watcher.ended)
  const receive = stage.nodes[1]?.listeners.get(DASHBOARD_CHANNEL)
  receive?.({ data: writeMessage({ kind: 'ask', node: 'other', queries: [], past: true }) } as never)
  t.equal(own.at(-1)?.kind, 'end')
})

test('a broker that is away is no failure, any other failure is logged once a minute', async (t) => {
  const stage = new Stage(t)
  stage.up = false
  const exchange = stage.add('one')
  exchange.start()
  const { kinds } = stage.watch(exchange)
  stage.failure = Object.assign(new Error('away'), { code: 'FST_RT_UNAVAILABLE' })
  await stage.until(() => kinds().filter((kind) => kind === 'now').length > 2)
  t.equal(stage.subscribed, 0)
  t.same(stage.logs, [])
  stage.failure = new Error('no permission')
  stage.up = true
  await stage.until(() => stage.logs.length === 1)
  t.match(stage.logs, [{ err: { message: 'no permission' }, times: 1 }])
  stage.failure = undefined
  await stage.until(() => stage.subscribed === 1)
  stage.broken = true
  stage.time += 60_001
  await stage.until(() => stage.logs.length === 2)
  stage.broken = false
  t.match(stage.logs[1], { err: { message: 'broken' } })
})

test('a table that cannot be made is logged', async (t) => {
  const stage = new Stage(t)
  const exchange = stage.add('one')
  stage.watch(exchange, false, { ...QUERY, view: 'channels', order: 'name' })
  await stage.until(() => stage.logs.length === 1)
  t.match(stage.logs, [{ err: { name: 'TypeError' } }])
})

test('a thousand nodes with pages are served at a time', async (t) => {
  const stage = new Stage(t)
  stage.add('one')
  const ask = (node: string) => {
    const data = writeMessage({ kind: 'ask', node, queries: [], past: true })
    stage.nodes[0]?.listeners.get(DASHBOARD_CHANNEL)?.({ data } as never)
  }
  const pasts = () => stage.published.filter((kind) => kind === 'past').length
  for (let node = 0; node < 1_001; node++) ask(String(node))
  t.equal(pasts(), 1_000)
  ask('0')
  t.equal(pasts(), 1_001)
})
