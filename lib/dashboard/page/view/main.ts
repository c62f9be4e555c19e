import type { PageMessage } from '../../messages.ts'
import { unpackSnapshots } from '../../packing.ts'
import { Cluster, type ClusterView, connectionsOf, type NodeState } from '../model/cluster.ts'
import { Feed, type FeedStatus } from '../model/feed.ts'
import { time } from '../model/format.ts'
import { entriesOf, entryOf, type Tone } from '../model/journal.ts'
import type { ShownConnection } from '../model/tables.ts'
import { frameOf } from '../model/timeline.ts'
import { Access } from './access.ts'
import { Charts } from './charts.ts'
import { ConfirmDialog, DetailDialog, describe } from './dialogs.ts'
import { part } from './element.ts'
import { JournalList } from './journal-list.ts'
import { type ListedNode, NodeList } from './node-list.ts'
import { SlowList } from './slow-list.ts'
import { Tables } from './tables.ts'
import { Tallies } from './tallies.ts'

/* The page: what all nodes say of themselves. */

const PERIOD = 1_000
// In periods.
const DEPTHS_EVERY = 3
// Milliseconds. A node that has gone is listed for this long; its line stays in the charts.
const GONE_FOR = 60_000

const access = new Access()
const journal = new JournalList(part('events'))
const charts = new Charts(part('charts'), part<HTMLDetailsElement>('figures'))
const tallies = new Tallies({ closes: part('closes'), refusals: part('refusals'), troubles: part('troubles') })
const nodeList = new NodeList(part('nodes'), part('redis'))
const confirm = new ConfirmDialog()
const detail = new DetailDialog((id) => {
  tables.detail = id
})
const tables: Tables = new Tables({
  queried: () => {
    showTables()
    feed?.restart()
  },
  disconnect: (row) => void disconnect(row),
  detail: (row) => detail.open(row)
})
const slow = new SlowList(part('slow'), (id) => tables.find(id))

let cluster = new Cluster()
let feed: Feed | undefined
/** States as they were last shown, by the nodes' ids. */
let states = new Map<string, NodeState>()
let redisWasUp = true
let ticks = 0
let lastStatus: FeedStatus = 'connecting'
/** When the connection was lost. */
let lostAt: number | undefined

function start(): void {
  feed?.stop()
  forget()
  document.body.dataset.view = 'live'
  const started = new Feed({
    fetch: (...request) => fetch(...request),
    key: () => access.key,
    query: () => tables.query,
    status: showStatus,
    message: take,
    now: () => performance.timeOrigin + performance.now(),
    refused
  })
  feed = started
  void started.start()
}

function forget(): void {
  cluster = new Cluster()
  states = new Map()
  redisWasUp = true
  tables.clear()
  journal.clear()
}

function take(message: PageMessage): void {
  if (message.kind === 'now') {
    if (cluster.take(message.snapshot)) show()
  } else if (message.kind === 'past') takePast(message)
  else if (message.kind === 'table') {
    tables.take(message)
    detail.take(message)
    showTables()
  }
}

function takePast({ node, samples }: PageMessage & { kind: 'past' }): void {
  const snapshots = unpackSnapshots(samples)
  const isNews = !states.has(node)
  for (const snapshot of snapshots) cluster.take(snapshot)
  if (isNews) {
    states.set(node, 'up')
    journal.add(...entriesOf(snapshots, cluster.now()))
  }
  show()
}

function refused(needsKey: boolean, message: string): void {
  const wasGiven = access.key !== undefined
  access.hold(undefined)
  forget()
  document.body.dataset.view = needsKey ? 'key' : 'refused'
  part('why').textContent = needsKey && wasGiven ? 'This is not the key.' : ''
  part('refusal').textContent = message
  if (needsKey) part('key').focus()
}

const STATUS: Readonly<Record<FeedStatus, string>> = {
  connecting: 'Connecting',
  connected: 'Live',
  reconnecting: 'Reconnecting',
  refused: 'Signed out'
}

function showStatus(status: FeedStatus, attempt: number): void {
  const pill = part('status')
  pill.dataset.status = status
  pill.textContent = status === 'reconnecting' && attempt > 1 ? `Reconnecting (attempt ${attempt})` : STATUS[status]
  part('sign-out').hidden = status === 'refused' || access.key === undefined
  if (status === 'reconnecting' && lastStatus === 'connected') note('Connection lost', 'warn')
  if (status === 'connected' && lastStatus === 'reconnecting') note('Connected again', 'good')
  lastStatus = status
  lostAt = status === 'connected' ? undefined : (lostAt ?? cluster.now())
}

function note(text: string, tone: Tone): void {
  if (cluster.now() > 0) journal.add({ at: cluster.now(), text, tone })
}

function view(): ClusterView {
  return { self: feed?.node, lostAt }
}

function listed(): ListedNode[] {
  return cluster.nodes().map((node) => ({ node, state: cluster.stateOf(node, view()) }))
}

function show(): void {
  cluster.trim()
  const nodes = listed()
  noteChanges(nodes)
  document.body.toggleAttribute('data-waiting', nodes.length === 0)
  const now = cluster.now()
  const present = nodes.filter(({ node, state }) => state !== 'gone' || now - node.latest.at < GONE_FOR)
  nodeList.show(present, { now, self: feed?.node })
  showTotals(nodes)
  showBanner()
  // A hidden window is drawn when it is visible again.
  if (document.hidden || nodes.length === 0) return
  const frame = frameOf(cluster.nodes(), now)
  charts.show(frame)
  tallies.show(frame)
  slow.show(nodes.filter(({ state }) => state === 'up' || state === 'draining').map(({ node }) => node))
  showTables()
}

function showTotals(nodes: readonly ListedNode[]): void {
  const open = nodes
    .filter(({ state }) => state !== 'gone')
    .reduce((sum, { node }) => sum + connectionsOf(node.latest), 0)
  document.title = `${open} connections · Dashboard`
}

function showTables(): void {
  const present = listed().filter(({ state }) => state === 'up' || state === 'draining')
  tables.show(new Map(present.map(({ node }) => [node.id, node.label])))
}

function showBanner(): void {
  const own = cluster.find(feed?.node)?.latest
  const isAway = own?.brokerUp === false
  const banner = part('banner')
  banner.hidden = !isAway
  const text = isAway
    ? `Redis is away since ${time(own.broker.since)}. The node that serves this page is shown; the others are out of sight until Redis is back.`
    : ''
  if (banner.textContent !== text) banner.textContent = text
}

/** Records which nodes came, drain and have gone, and the state of Redis. */
function noteChanges(nodes: readonly ListedNode[]): void {
  for (const { node, state } of nodes) {
    const before = states.get(node.id)
    if (state === before) continue
    const entry = entryOf(node, before, state, cluster.now())
    if (entry !== undefined) journal.add(entry)
    if (entry !== undefined || before !== undefined || state !== 'gone') states.set(node.id, state)
  }
  const own = cluster.find(feed?.node)?.latest
  if (own === undefined || own.brokerUp === redisWasUp) return
  redisWasUp = own.brokerUp
  if (redisWasUp) note('Redis is back', 'good')
  else note('Redis is away', 'bad')
}

async function tick(): Promise<void> {
  if (document.body.dataset.view !== 'live') return
  show()
  if (ticks++ % DEPTHS_EVERY !== 0 || document.hidden || tables.view !== 'channels') return
  const names = tables.shownChannels
  if (names.length === 0) return
  try {
    tables.depths = (await feed?.depths(names)) ?? {}
  } catch {
    // Redis is away, which the banner says, or the connection is, which the status says.
    tables.depths = {}
  }
}

async function disconnect(row: ShownConnection): Promise<void> {
  if (!(await confirm.ask(row))) return
  tables.mark(row.id, true)
  try {
    await feed?.disconnect(row.id)
    note(`Disconnected ${describe(row)}`, 'plain')
  } catch (error) {
    tables.mark(row.id, false)
    note(`Could not disconnect ${describe(row)}: ${(error as Error).message}`, 'bad')
  }
}

part('key-form').addEventListener('submit', (event) => {
  event.preventDefault()
  const field = part<HTMLInputElement>('key')
  access.hold(field.value.trim())
  field.value = ''
  start()
})
part('sign-out').addEventListener('click', () => {
  feed?.stop()
  showStatus('refused', 0)
  access.hold(undefined)
  refused(true, '')
})
part('again').addEventListener('click', () => location.reload())
addEventListener('hashchange', () => {
  if (access.takeFromAddress()) start()
})
document.addEventListener('visibilitychange', () => show())
// The keyboard must reach what scrolls. Not every browser ensures that.
for (const region of document.querySelectorAll<HTMLElement>('.scroll')) region.tabIndex = 0
setInterval(() => void tick(), PERIOD)
access.takeFromAddress()
start()
