import { takeKey } from '/admin-key.js'
import { Access } from './access.js'
import { Charts } from './charts.js'
import { Cluster, connectionsOf } from './cluster.js'
import { Events } from './events.js'
import { Feed } from './feed.js'
import { count, duration, time } from './format.js'
import { NodeList } from './node-list.js'
import { ConnectionTable } from './table.js'
import { Tallies } from './tallies.js'
import { frameOf } from './timeline.js'

/*
 * The page: the state that all nodes report, over a connection like those that it shows.
 */

const PERIOD = 1_000
// Milliseconds. If the node at the other end has published nothing for this long, the page asks it by a call.
const SILENCE = 2_500
// A node that has gone is listed for this long; its line stays in the charts.
const GONE_FOR = 60_000
// Milliseconds in which a client answers a close.
const SOON = 200
// A second invalid token within this time is no accident.
const SETTLED = 10_000

const part = (id) => document.getElementById(id)
const access = new Access()
const events = new Events(part('events'))
const charts = new Charts({ grid: part('charts'), details: part('figures') })
const tallies = new Tallies({ closes: part('closes'), refusals: part('refusals'), troubles: part('troubles') })
const nodeList = new NodeList({ list: part('nodes'), redis: part('redis') })
const table = new ConnectionTable({
  table: part('connections'),
  filter: part('filter'),
  summary: part('summary'),
  said: part('said'),
  empty: part('nobody')
})

let cluster = new Cluster()
/** @type {Feed | undefined} */
let feed
/** States as they were last shown, by the nodes' ids. @type {Map<string, string>} */
let states = new Map()
let redisWasUp = true
let renewedAt = Number.NEGATIVE_INFINITY

// The connection

function start() {
  feed?.stop()
  feed = new Feed({ getToken: () => access.getToken(), query: table.query })
  feed.addEventListener('status', showStatus)
  feed.addEventListener('snapshot', ({ detail }) => cluster.take(detail) && show())
  feed.addEventListener('table', ({ detail }) => {
    table.take(detail)
    showTable()
  })
  feed.addEventListener('denied', () => signOut('This token has no claim admin.'))
  feed.addEventListener('signed-out', () => void renew())
  feed.addEventListener('closed', ({ detail: { code, reason } }) =>
    events.add(`Disconnected (${code}: ${reason})`, 'bad')
  )
  document.body.dataset.view = 'live'
  showStatus()
}

/** The token is no longer valid, for example after a restart with another secret. */
async function renew() {
  const isAgain = performance.now() - renewedAt < SETTLED
  renewedAt = performance.now()
  try {
    if (!isAgain && (await access.renew())) {
      start()
      return
    }
  } catch (error) {
    console.warn('no token', error)
  }
  signOut('The token is not valid any more.')
}

function signOut(why = '') {
  feed?.stop()
  feed = undefined
  access.forget()
  cluster = new Cluster()
  states = new Map()
  table.clear()
  part('why').textContent = why
  document.body.dataset.view = 'signed-out'
  showStatus()
  part('admin').focus()
}

// Output

const STATUS = {
  connecting: () => 'Connecting',
  connected: () => 'Connected',
  reconnecting: () => (feed.attempt > 0 ? `Reconnecting (attempt ${feed.attempt})` : 'Reconnecting'),
  closed: () => 'Disconnected',
  'signed-out': () => 'Signed out'
}
let lastStatus = ''
/** When the connection was lost, by the nodes' clocks. @type {number | undefined} */
let lostAt

function showStatus() {
  const status = feed?.status ?? 'signed-out'
  const pill = part('status')
  pill.dataset.status = status
  pill.textContent = STATUS[status]()
  part('sign-out').hidden = feed === undefined
  part('again').hidden = status !== 'closed'
  if (status === 'reconnecting' && lastStatus === 'connected') events.add('Connection lost', 'warn')
  if (status === 'connected' && lastStatus === 'reconnecting') events.add('Connected again', 'good')
  lastStatus = status
  lostAt = status === 'connected' ? undefined : (lostAt ?? cluster.now())
}

function view() {
  return { self: feed.self, lostAt }
}

function show() {
  if (feed === undefined) return
  cluster.trim()
  const nodes = cluster.nodes().map((node) => ({ node, state: cluster.stateOf(node, view()) }))
  noteChanges(nodes)
  document.body.toggleAttribute('data-waiting', nodes.length === 0)
  const now = cluster.now()
  const listed = nodes.filter(({ node, state }) => state !== 'gone' || now - node.latest.at < GONE_FOR)
  nodeList.show(listed, { now, self: feed.self })
  showBanner()
  // A hidden window is drawn when it is visible again.
  if (document.hidden || nodes.length === 0) return
  const frame = frameOf(cluster.nodes(), cluster.now())
  charts.show(frame)
  tallies.show(frame)
  showTable()
}

function showTable() {
  if (feed === undefined) return
  const present = cluster.nodes().filter((node) => ['up', 'draining'].includes(cluster.stateOf(node, view())))
  table.show(new Map(present.map(({ id, name }) => [id, name])), feed.connection)
}

function showBanner() {
  const own = cluster.find(feed.self)?.latest
  const isAway = own?.brokerUp === false
  const text = isAway
    ? `Redis is away since ${time(own.broker.since)}. This page’s own node is shown as it answers itself; the others are out of sight until Redis is back.`
    : ''
  const banner = part('banner')
  banner.hidden = !isAway
  if (banner.textContent !== text) banner.textContent = text
}

/** Records which nodes came, drain and have gone, and the state of Redis. */
function noteChanges(nodes) {
  for (const { node, state } of nodes) {
    const before = states.get(node.id)
    states.set(node.id, state)
    if (state !== before) noteState(node, before, state)
  }
  const latest = cluster.find(feed.self)?.latest
  if (latest === undefined || latest.brokerUp === redisWasUp) return
  redisWasUp = latest.brokerUp
  if (redisWasUp) events.add('Redis is back', 'good')
  else events.add(`Redis is away since ${time(latest.broker.since)}`, 'bad')
}

function noteState({ id, name, latest }, before, state) {
  // A node that had gone before this page came is no news, and its history is not its present.
  if (state === 'gone' && before === undefined) states.delete(id)
  else if (state === 'up' && before === undefined) events.add(`${name} is up`)
  else if (state === 'up' && before === 'gone') events.add(`${name} is heard again`, 'good')
  else if (state === 'draining') events.add(`${name} drains, ${count(connectionsOf(latest))} to go`, 'warn')
  else if (state === 'gone') {
    const { closed = 0, terminated = 0 } = latest.drained
    if (!latest.last) events.add(`${name} is gone`, 'bad')
    else
      events.add(
        `${name} has drained: ${count(closed)} closed, ${count(terminated)} cut`,
        terminated > 0 ? 'bad' : 'good'
      )
  }
}

function tick() {
  if (feed === undefined) return
  const own = cluster.find(feed.self)?.latest
  const isSilent = own === undefined || own.brokerUp === false || cluster.now() - own.at > SILENCE
  if (feed.status === 'connected' && isSilent && !feed.asking) void feed.ask()
  show()
}

// Actions of the user

function onSubmit(id, act) {
  part(id).addEventListener('submit', async (event) => {
    event.preventDefault()
    part('why').textContent = ''
    try {
      await act()
      start()
    } catch (error) {
      part('why').textContent = error.message
    }
  })
}
onSubmit('sign-in', () => access.signIn(part('admin').value.trim()))
onSubmit('bring', () => {
  access.use(part('token').value.trim())
  part('token').value = ''
})

part('sign-out').addEventListener('click', () => signOut())
part('again').addEventListener('click', start)
table.addEventListener('query', ({ detail }) => {
  void feed?.look(detail)
  showTable()
})
table.addEventListener('disconnect', ({ detail: row }) => confirm(row))

/** Asks first, since it ends another user's connection. */
function confirm(row) {
  const dialog = part('confirm')
  const who = `${row.user ?? 'anonymous'} on ${row.route} (${row.node}, connected ${duration(row.age)})`
  part('confirm-who').textContent = who
  dialog.addEventListener(
    'close',
    () => {
      if (dialog.returnValue === 'yes') void disconnect(row, who)
    },
    { once: true }
  )
  dialog.returnValue = ''
  dialog.showModal()
}

async function disconnect({ id }, who) {
  table.mark(id, true)
  try {
    await feed.disconnect(id)
    events.add(`Disconnected ${who}`)
    // By then it has ended, if it is on the node that answers.
    setTimeout(() => void feed?.ask(), SOON)
  } catch (error) {
    table.mark(id, false)
    events.add(`Could not disconnect ${who}: ${error.message}`, 'bad')
  }
}

setInterval(tick, PERIOD)
document.addEventListener('visibilitychange', show)
try {
  part('admin').value = localStorage.getItem('user') ?? 'admin'
} catch {
  // Storage may be forbidden: any name works.
  part('admin').value = 'admin'
}
takeKey(location.hash.slice(1))
if (access.isSignedIn) start()
else signOut()
