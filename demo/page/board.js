import { Connection } from '/connection.js'
import { Journal } from '/journal.js'
import { Names } from '/names.js'
import { listenToPens } from '/pen.js'
import { Sheet } from '/sheet.js'
import { Unconfirmed } from '/unconfirmed.js'

/*
 * The page: a board by the name after the #, drawn on here and by everybody else who has it open.
 */

const NAME = /^[\w-]{1,64}$/
const DEFAULT_BOARD = 'lobby'
// Refused for now: sent again after this, where the server says nothing better.
const RETRY_AFTER = 2_000
const RETRIABLE = new Set(['rate_limited', 'unavailable'])

const element = (id) => document.getElementById(id)
const sheet = new Sheet({ ink: element('ink'), wet: element('wet') })
const names = new Names(element('names'))
const journal = new Journal(element('events'))

/** @type {Map<string, { strokes: Map<string, object>, unconfirmed: Unconfirmed }>} */
const boards = new Map()
let user = storedUser()
let board = boardFromAddress()
let connects = 0
let retry = 0
const connection = new Connection({ board, user })

function boardOf(name) {
  let state = boards.get(name)
  if (state === undefined) {
    state = { strokes: new Map(), unconfirmed: new Unconfirmed((stroke) => connection.send(stroke)) }
    boards.set(name, state)
  }
  return state
}

function open(name) {
  board = name
  element('board').value = name
  document.title = `${name} · Whiteboard`
  names.clear()
  sheet.show(boardOf(name).strokes.values())
  count()
}

function count() {
  const { strokes, unconfirmed } = boardOf(board)
  element('count').textContent = String(strokes.size)
  element('unsent').textContent = String(unconfirmed.size)
  element('sheet').dataset.strokes = String(strokes.size)
  element('hint').toggleAttribute('data-gone', strokes.size > 0)
}

function drawn(stroke) {
  const { strokes, unconfirmed } = boardOf(board)
  strokes.set(stroke.id, stroke)
  sheet.add(stroke)
  unconfirmed.add(stroke)
  count()
}

function received(stroke) {
  const { strokes, unconfirmed } = boardOf(board)
  unconfirmed.confirm(stroke.id)
  if (!strokes.has(stroke.id)) {
    strokes.set(stroke.id, stroke)
    sheet.add(stroke)
    if (stroke.user) names.show(stroke.user, stroke.points)
  }
  count()
}

// What the connection says

const STATUS = {
  connecting: () => 'Connecting',
  connected: () => 'Connected',
  reconnecting: () => `Reconnecting (attempt ${connection.attempt})`,
  draining: () => 'Server restarting',
  offline: () => 'Offline',
  'signed-out': () => 'Signed out',
  closed: () => 'Disconnected'
}

function showStatus() {
  const { status } = connection
  const pill = element('status')
  pill.dataset.status = status
  pill.textContent = STATUS[status]()
  const again = element('again')
  again.hidden = status !== 'signed-out' && status !== 'closed'
  again.textContent = status === 'signed-out' ? 'Sign in again' : 'Connect again'
}

function onFault({ code, message, retryAfter = RETRY_AFTER }) {
  journal.add(`${message} (${code})`, 'bad')
  if (!RETRIABLE.has(code)) return
  const { unconfirmed } = boardOf(board)
  clearTimeout(retry)
  retry = setTimeout(() => unconfirmed.resend(), retryAfter)
}

function onNotice({ code, reconnectAfter, dropped }) {
  if (code === 'draining') {
    journal.add(`The server restarts; back in ${(reconnectAfter / 1000).toFixed(1)} s at the earliest`, 'warn')
  } else if (code === 'lagging') journal.add(`Too slow: ${dropped} strokes were left out`, 'warn')
  else journal.add(`Notice: ${code}`, 'warn')
}

connection.addEventListener('status', showStatus)
connection.addEventListener('stroke', ({ detail }) => received(detail))
connection.addEventListener('fault', ({ detail }) => onFault(detail))
connection.addEventListener('notice', ({ detail }) => onNotice(detail))
connection.addEventListener('open', () => {
  connects++
  element('connects').textContent = String(connects)
  journal.add(connects === 1 ? `Connected to ${board}` : `Connected again to ${board}`, 'good')
  boardOf(board).unconfirmed.resend()
  count()
})
connection.addEventListener('down', ({ detail: { code, reason } }) => {
  if (connection.status === 'connecting') return
  const why = reason ? `: ${reason}` : ''
  if (connection.attempt > 1) journal.add(`Attempt ${connection.attempt - 1} failed`)
  else journal.add(`Connection closed (${code}${why})`, 'warn')
})

// What the user does

function boardFromAddress() {
  const name = location.hash.slice(1)
  if (NAME.test(name)) return name
  history.replaceState(null, '', `#${DEFAULT_BOARD}`)
  return DEFAULT_BOARD
}

function storedUser() {
  try {
    const stored = localStorage.getItem('user')
    if (stored) return stored
  } catch {
    // Storage may be forbidden: then the name lasts as long as the page.
  }
  return `guest-${1000 + Math.floor(Math.random() * 9000)}`
}

function rename(name) {
  user = name
  try {
    localStorage.setItem('user', name)
  } catch {
    // As above.
  }
}

const fields = element('fields')
fields.addEventListener('change', () => fields.requestSubmit())
fields.addEventListener('submit', (event) => {
  event.preventDefault()
  const name = element('user').value.trim()
  if (name !== '') rename(name)
  element('user').value = user
  location.hash = element('board').value
  connection.change({ user })
})

addEventListener('hashchange', () => {
  open(boardFromAddress())
  connection.change({ board })
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

element('user').value = user
element('tools').addEventListener('submit', (event) => event.preventDefault())
listenToPens(element('wet'), {
  tool: () => {
    const { colour, width } = Object.fromEntries(new FormData(element('tools')))
    return { colour, width: Number(width) }
  },
  wet: (strokes) => sheet.showWet(strokes),
  drawn
})
open(board)
showStatus()
