import { createClient, login } from './session.js'

const BOARD = 'plan'
const SEND_INTERVAL = 50

await login()
const client = createClient()
const cursors = client.newSubscription(`cursors/${BOARD}`, { joinLeave: true })
const board = document.querySelector('#board')

// The others, by their connection: a name and an element.
const people = new Map()
let own
client.on('connected', (context) => {
  own = context.client
})

function add({ client, chanInfo }) {
  if (people.has(client)) return
  const element = document.createElement('div')
  element.className = 'cursor'
  element.textContent = `↖ ${chanInfo.name}`
  element.hidden = true
  people.set(client, { name: chanInfo.name, element })
  if (client !== own) board.append(element)
}
function remove(client) {
  people.get(client)?.element.remove()
  people.delete(client)
}
function render() {
  const names = [...people.values()].map(({ name }) => name).sort()
  document.querySelector('#people').textContent = names.join(', ')
}

cursors.on('subscribed', async () => {
  const { clients } = await cursors.presence()
  for (const client of people.keys()) if (!(client in clients)) remove(client)
  for (const info of Object.values(clients)) add(info)
  render()
})
cursors.on('join', ({ info }) => render(add(info)))
cursors.on('leave', ({ info }) => render(remove(info.client)))
cursors.on('publication', ({ data }) => {
  for (const [client, { x, y }] of Object.entries(data)) {
    const element = people.get(client)?.element
    if (element === undefined) continue // it has left
    element.hidden = false
    element.style.left = `${x * 100}%`
    element.style.top = `${y * 100}%`
  }
})

// Only the newest position is sent, and the next one after the answer: a slow network sends fewer, not older ones.
let newest
let isSending = false
board.onpointermove = ({ clientX, clientY }) => {
  const { left, top, width, height } = board.getBoundingClientRect()
  const part = (value) => Math.min(1, Math.max(0, value))
  newest = { board: BOARD, x: part((clientX - left) / width), y: part((clientY - top) / height) }
  if (!isSending) sendNewest()
}

async function sendNewest() {
  isSending = true
  while (newest !== undefined) {
    const position = newest
    newest = undefined
    await client.rpc('cursors.move', position).catch(() => {}) // the next move tries again
    await new Promise((resolve) => setTimeout(resolve, SEND_INTERVAL))
  }
  isSending = false
}

cursors.subscribe()
client.connect()
