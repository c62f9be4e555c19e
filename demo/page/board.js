import { adminKey, takeKey } from './admin-key.js'
import { BreakPanel } from './break.js'
import { Connection } from './connection.js'
import { Cursors } from './cursors.js'
import { Deliveries } from './deliveries.js'
import { fitToWindow } from './frame.js'
import { Guide } from './guide.js'
import { Host } from './host.js'
import { Journal } from './journal.js'
import { listenToKeys } from './keys.js'
import { Ledger, watch } from './ledger.js'
import { lineOf } from './line.js'
import { listenToNavigation } from './navigate.js'
import { OpenBoard } from './open-board.js'
import { Pens } from './pens.js'
import { People } from './people.js'
import { listenToPointers } from './pointers.js'
import { Sheet } from './sheet.js'
import { recoveredText, Status } from './status.js'
import { Strip } from './strip.js'
import { storedUser, storeUser } from './user.js'
import { View } from './view.js'
import { isElsewhere, workerOf } from './worker.js'

/*
 * The page: a board by the name after the #. The user and all others who have it open draw on it.
 */

const NAME = /^[\w-]{1,64}$/
const DEFAULT_BOARD = 'lobby'
// The names of a killed server's clients stay for a while. After this time presence is read again.
const PRESENCE_INTERVAL = 10_000

const element = (id) => document.getElementById(id)
const view = new View()
const sheet = new Sheet({ ink: element('ink'), wet: element('wet'), view })
const journal = new Journal(element('events'))
const people = new People(element('people'))
const pill = new Status({ pill: element('status'), button: element('again') })
// Before the connection requests its token.
takeKey(location.hash.slice(1))
const connection = new Connection(storedUser())
const cursors = new Cursors(element('names'), connection)
const ledger = new Ledger()
const deliveries = new Deliveries(['you', 'guide'])
const strip = new Strip(element('strip'), deliveries)
const guide = new Guide({
  watch: (opened) => {
    ledger.join('guide')
    watch(ledger, 'guide', opened, (now) => arrivedOn('guide', now))
  },
  isElsewhere: (other) => isElsewhere(connection, other)
})
const panel = new BreakPanel(element('break'), {
  connection,
  guide,
  board: () => board.name,
  ledger,
  deliveries,
  strip
})
const host = new Host({ guide, note: element('note'), button: element('play'), board: () => board.name })

/** @type {Map<string, OpenBoard>} */
const boards = new Map()
/** The board that is shown. @type {OpenBoard | undefined} */
let board
let connects = 0
let isShowing = false
let isWelcomed = false
/** Whether the connection was lost, rather than ended by this page. */
let wasLost = false

function arrivedOn(name, now) {
  deliveries.arrived(name, now)
  strip.wake()
}

function boardOf(name) {
  const known = boards.get(name)
  if (known !== undefined) return known
  const made = new OpenBoard(connection, name)
  boards.set(name, made)
  watch(ledger, 'you', made, (now) => arrivedOn('you', now))
  const listen = (type, act) => made.addEventListener(type, ({ detail }) => made === board && act(detail))
  listen('change', show)
  listen('stroke', (stroke) => cursors.drew(stroke))
  listen('join', (client) => people.join(client))
  listen('leave', onLeave)
  listen('ready', onReady)
  listen('clear', ({ user }) => user === connection.user || journal.add(`${user} cleared the board`))
  listen('refused', onRefused)
  listen('ended', ({ code, reason }) => journal.add(`The board was taken away (${code}: ${reason})`, 'bad'))
  return made
}

function open(name) {
  board?.close()
  guide.leave()
  ledger.clear()
  ledger.join('you')
  board = boardOf(name)
  element('board').value = name
  document.title = `${name} · Whiteboard`
  people.show([], connection.user)
  board.open()
  cursors.open(name)
  show()
}

/** Once for all changes of a moment: a board's history is thousands of changes. */
function show() {
  if (isShowing) return
  isShowing = true
  queueMicrotask(() => {
    isShowing = false
    render()
  })
}

function render() {
  const { drawing, unsent, refusal } = board
  const { count, refused } = drawing
  sheet.show(drawing.lines)
  element('count').textContent = String(count)
  element('unsent').textContent = String(unsent)
  element('sheet').dataset.strokes = String(count)
  element('hint').toggleAttribute('data-gone', count > 0 || host.isPlaying)
  element('undo').disabled = drawing.lastLineOf(connection.user) === undefined
  element('clear').disabled = count === 0
  element('refused').hidden = refused.length === 0
  if (refused.length > 0) element('refusal').textContent = `${counted(linesOf(refused))} refused: ${refusal}`
}

/** One drag of a pen is one stroke, in however many pieces it was sent. */
function linesOf(pieces) {
  return new Set(pieces.map(({ id }) => lineOf(id))).size
}

function counted(strokes) {
  return strokes === 1 ? '1 stroke' : `${strokes} strokes`
}

// Events of the connection and the board

connection.addEventListener('status', () => pill.show(connection))
connection.addEventListener('open', () => {
  connects++
  element('connects').textContent = String(connects)
  journal.add(connects === 1 ? 'Connected' : 'Connected again', 'good')
  void panel.refresh()
  void showWorker('you', connection)
})
connection.addEventListener('down', ({ detail: { code, reason } }) => {
  if (code === 0) return
  wasLost = true
  if (connection.status === 'draining') journal.add('The server restarts', 'warn')
  else journal.add(`Connection closed (${code}: ${reason})`, 'warn')
})

function onReady({ how, missed }) {
  if (how === 'new') journal.add(`Opened ${board.name}`)
  else if (how === 'reloaded') journal.add('What was missed could not be had: board reloaded', 'warn')
  else if (wasLost) journal.add(recoveredText(missed), 'good')
  if (how === 'reloaded' || (how === 'recovered' && wasLost)) pill.tell(how, missed)
  wasLost = false
  void showPeople().then(() => welcome())
}

/** A visitor who is alone on an empty board sees the guide draw. */
function welcome() {
  if (isWelcomed) return
  isWelcomed = true
  host.welcome({ lines: board.drawing.lines, clients: people.clients, self: connection.id })
}

async function showWorker(name, from) {
  const worker = await workerOf(from)
  if (worker !== undefined) strip.name(name, worker === 0 ? 'this process' : `worker ${worker}`)
}

guide.addEventListener('open', () => void showWorker('guide', guide.connection))
guide.addEventListener('left', () => {
  ledger.leave('guide', performance.now())
  strip.name('guide', 'not here')
})

function onRefused({ code, message }) {
  // One of a line's pieces is enough.
  if (board.drawing.refused.length > 1) return
  journal.add(`Refused: ${message} (${code})`, 'bad')
}

function onLeave(client) {
  people.leave(client)
  cursors.left(client)
}

async function showPeople() {
  const asked = board
  try {
    let clients
    let changes
    // Clients that came or left meanwhile may or may not be in the answer.
    do {
      changes = people.changes
      clients = await asked.presence()
    } while (changes !== people.changes)
    if (asked !== board) return
    people.show(clients, connection.user)
    cursors.keep(clients.map(({ client }) => client))
  } catch {
    // Presence is read again soon, and at every reconnect.
  }
}

setInterval(() => {
  if (connection.status === 'connected' && !document.hidden) void showPeople()
}, PRESENCE_INTERVAL)

// Actions of the user

function boardFromAddress() {
  const name = location.hash.slice(1)
  if (NAME.test(name)) return name
  history.replaceState(null, '', `#${DEFAULT_BOARD}`)
  return DEFAULT_BOARD
}

function rename(name) {
  if (name === connection.user) return
  connection.restart(name)
  storeUser(name)
}

const fields = element('fields')
fields.addEventListener('change', () => fields.requestSubmit())
fields.addEventListener('submit', (event) => {
  event.preventDefault()
  const name = element('user').value.trim()
  if (name !== '') rename(name)
  element('user').value = connection.user
  location.hash = element('board').value
})
element('user').value = connection.user

addEventListener('hashchange', () => {
  const before = adminKey()
  takeKey(location.hash.slice(1))
  open(boardFromAddress())
  // The token of the connection does not have the claim admin yet.
  if (adminKey() !== before) connection.restart()
})
element('again').addEventListener('click', () => connection.restart())
element('share').addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(location.href)
    journal.add('The link is in the clipboard')
  } catch {
    journal.add(`The link: ${location.href}`) // no clipboard without https
  }
})

// The pens

element('tools').addEventListener('submit', (event) => event.preventDefault())
const pens = new Pens({
  tool: () => {
    const { colour, width } = Object.fromEntries(new FormData(element('tools')))
    return { colour, width: Number(width) }
  },
  wet: (lines) => sheet.showWet(lines),
  drawn: (stroke) => board.draw(stroke),
  zoom: () => view.zoom
})
const moved = (at) => cursors.moved(at)
const drawsByKeys = listenToKeys(element('pad'), {
  crosshair: element('crosshair'),
  pens,
  moved,
  say: (text) => {
    element('said').textContent = text
  },
  view
})
const isMoving = listenToNavigation(element('pad'), {
  view,
  buttons: { out: element('zoom-out'), home: element('zoom-home'), in: element('zoom-in') },
  drawsByKeys
})
listenToPointers(element('pad'), { pens, view, isMoving, moved })

element('undo').addEventListener('click', () => board.undo())
addEventListener('keydown', (event) => {
  const isUndo = event.key.toLowerCase() === 'z' && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey
  // In a field, undo applies to the text.
  if (!isUndo || event.target.matches('input[type="text"], input:not([type])')) return
  event.preventDefault()
  board.undo()
})
element('retry').addEventListener('click', () => board.retry())
element('discard').addEventListener('click', () => board.discard())

const dialog = element('clear-dialog')
element('clear').addEventListener('click', () => dialog.showModal())
dialog.addEventListener('close', async () => {
  if (dialog.returnValue !== 'clear') return
  dialog.returnValue = ''
  try {
    const cleared = await board.clear()
    journal.add(`Cleared ${counted(cleared)}`)
  } catch (error) {
    journal.add(`Not cleared: ${error.message}`, 'bad')
  }
})
fitToWindow(view, {
  sheet: element('sheet'),
  free: element('free'),
  home: element('home'),
  zoom: element('zoom-home'),
  isBusy: () => panel.hasBeenUsed
})
pill.show(connection)
open(boardFromAddress())
