import { test } from 'tap'
import { Crew } from '../../lib/load/crew.ts'
import { Journal } from '../../lib/load/journal.ts'
import { SocketClient } from '../../lib/load/socket-client.ts'
import { feed, LoadPeer } from '../support/load-peer.ts'

async function crew(t: Parameters<typeof LoadPeer.start>[0], groups: readonly number[], slow = 0) {
  const peer = await LoadPeer.start(t)
  const journal = new Journal('run', performance.now())
  const clients = groups.map((group, at) => {
    const isSlow = at >= groups.length - slow
    return new SocketClient({ feeds: [feed('', group)], journal, isSlow }, peer.endpoint, true)
  })
  const all = new Crew(clients, journal)
  t.teardown(() => all.close())
  return { crew: all, journal, clients, peer }
}

test('all are opened, at once or over a time', async (t) => {
  for (const ramp of [0, 50]) {
    const { crew: all, journal } = await crew(t, [0, 0, 1])
    t.equal(all.present, 0)
    await all.open(ramp, new AbortController().signal)
    t.same([all.present, journal.everOpened], [3, 3])
  }
})

test('aborted, no more are opened', async (t) => {
  const { crew: all } = await crew(t, [0, 0])
  await all.open(0, AbortSignal.abort())
  t.equal(all.present, 0)
})

test('publishers take turns by group, slow readers publish nothing, and all are subscribers', async (t) => {
  const { crew: all, clients, journal } = await crew(t, [0, 1, 0, 1, 1], 1)
  await all.open(0, new AbortController().signal)
  const outlets = all.begin((able) => able)
  t.same(
    outlets.map(({ client }) => clients.indexOf(client as SocketClient)),
    [0, 1, 2, 3]
  )
  t.same(
    outlets.map(({ publisher }) => publisher.index),
    [0, 2, 1, 3]
  )
  outlets[1]?.publisher.next()
  t.equal(journal.ledger.totals().lost, 3, 'three are in the second group')
})

test('a storm', async (t) => {
  const { crew: all, clients, journal } = await crew(t, [0, 0])
  t.notOk(all.hasAbsentees)
  await all.open(0, new AbortController().signal)
  clients[0]?.close()
  all.cutAll()
  t.match(journal.storm, { cut: 1, back: 0 })
  t.ok(all.hasAbsentees)
  t.equal(all.begin((able) => able).length, 1, 'a message waits until its publisher is back')
})
