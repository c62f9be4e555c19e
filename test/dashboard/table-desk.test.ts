import { test } from 'tap'
import type { TableAnswer } from '../../lib/dashboard/messages.ts'
import { keyOf, type Query } from '../../lib/dashboard/query.ts'
import { unpackChannel } from '../../lib/dashboard/rows.ts'
import { TableDesk } from '../../lib/dashboard/table-desk.ts'
import { connect } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { insightInto } from './insight.ts'

const connections = (search: string): Query => ({ view: 'connections', order: 'age', descending: false, search })
const channels: Query = { view: 'channels', order: 'rate', descending: true, search: '' }

async function rig(t: Parameters<typeof buildApp>[0]) {
  const { app } = await buildApp(t, { auth: false }, { jwt: false })
  app.ws('/live', async (socket) => {
    await socket.subscribe('news')
    socket.sendJson('subscribed')
    for await (const _ of socket.messages());
  })
  await app.ready()
  const insight = insightInto(app)
  const answers: Omit<TableAnswer, 'node'>[] = []
  const failures: unknown[] = []
  let wake = () => {}
  let now = 0
  const desk = new TableDesk({
    insight,
    name: 'web',
    now: () => now,
    answered: (answer) => {
      answers.push(answer)
      wake()
    },
    failed: (error) => {
      failures.push(error)
      wake()
    }
  })
  const until = async (holds: () => boolean) => {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  const pass = (milliseconds: number) => {
    now += milliseconds
  }
  return { app, insight, desk, answers, failures, until, pass }
}

test('queries are answered, each once', async (t) => {
  const { desk, answers, until } = await rig(t)
  desk.ask([connections('a'), connections('A'), connections('b')])
  await until(() => answers.length === 2)
  t.same(
    answers.map(({ query }) => query),
    [keyOf(connections('a')), keyOf(connections('b'))]
  )
})

test('eight at a time: the newest wait', async (t) => {
  const { desk, answers, until } = await rig(t)
  desk.ask(Array.from({ length: 12 }, (_, at) => connections(`search ${at}`)))
  await until(() => answers.length === 8)
  t.match(answers.at(-1), { query: keyOf(connections('search 7')) })
})

test('publications are counted while a page shows channels', async (t) => {
  const { app, insight, desk, answers, until, pass } = await rig(t)
  const socket = await connect(app, '/live')
  await socket.next()
  const rates = () => answers.at(-1)?.rows.map((row) => unpackChannel(row).rate)
  desk.ask([channels])
  await until(() => answers.length === 1)
  t.same(rates(), [null], 'they were not counted yet')
  desk.round([channels])
  await until(() => answers.length === 2)
  await app.realtime.publish('news', 1)
  await app.realtime.publish('news', 2)
  pass(2_000)
  desk.round([channels])
  await until(() => answers.length === 3)
  t.same(rates(), [1])
  desk.round([connections('')])
  t.equal(insight.node.onPublication, undefined)
  desk.round([channels])
  t.type(insight.node.onPublication, 'function')
  desk.rest()
  t.equal(insight.node.onPublication, undefined)
})

test('a failure is reported, and the next query is answered', async (t) => {
  const { desk, insight, answers, failures, until } = await rig(t)
  const { registry } = insight.node
  Object.assign(registry, {
    [Symbol.iterator]() {
      throw new Error('broken')
    }
  })
  desk.ask([connections('')])
  await until(() => failures.length === 1)
  t.match(failures, [{ message: 'broken' }])
  Reflect.deleteProperty(registry, Symbol.iterator)
  desk.ask([connections('')])
  await until(() => answers.length === 1)
})

test('after the end nothing is answered', async (t) => {
  const { desk, answers } = await rig(t)
  desk.ask([connections('')])
  desk.stop()
  await new Promise((resolve) => setImmediate(resolve))
  t.same(answers, [])
})
