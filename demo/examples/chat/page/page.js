import { createClient, login } from './session.js'

const TYPING_INTERVAL = 2_000
const TYPING_TIME = 3_000
const HISTORY = 200
const RETRY_DELAY = 1_000

const me = await login()
const client = createClient()
const room = client.newSubscription('rooms/tea', { joinLeave: true })
const typing = client.newSubscription('rooms/tea/typing')
const find = (id) => document.querySelector(`#${id}`)

// Messages, by their position in the channel.
const messages = new Map()
function show(publications) {
  for (const { offset, data } of publications) messages.set(offset, data)
  const items = [...messages].sort(([a], [b]) => a - b).map(([, { from, text }]) => item(from, text))
  find('messages').replaceChildren(...items.slice(-HISTORY))
}

function item(from, text) {
  const element = document.createElement('li')
  const author = document.createElement('strong')
  author.textContent = `${from}: `
  element.append(author, text)
  return element
}

room.on('publication', (publication) => {
  typists.delete(publication.data.from)
  showTypists()
  show([publication])
})

// After a break the client recovers what it missed. Otherwise the page loads it.
room.on('subscribed', async ({ recovered }) => {
  showPeople(await room.presence())
  if (recovered) return
  messages.clear() // before the answer: publications that follow it may come at the same moment
  show((await room.history({ limit: HISTORY, reverse: true })).publications)
})

const people = new Map()
function showPeople({ clients }) {
  people.clear()
  for (const { client, chanInfo } of Object.values(clients)) people.set(client, chanInfo.name)
  render()
}
function render() {
  find('people').textContent = [...new Set(people.values())].sort().join(', ')
}
room.on('join', ({ info }) => render(people.set(info.client, info.chanInfo.name)))
room.on('leave', ({ info }) => render(people.delete(info.client)))

const typists = new Map()
function showTypists() {
  const names = [...typists.keys()].filter((name) => name !== me)
  find('typing').textContent = names.length > 0 ? `${names.join(', ')} typing…` : ''
}
typing.on('publication', ({ data: { from } }) => {
  clearTimeout(typists.get(from))
  const forget = () => showTypists(typists.delete(from))
  typists.set(from, setTimeout(forget, TYPING_TIME))
  showTypists()
})

let typedAt = 0
find('write').oninput = () => {
  if (Date.now() - typedAt < TYPING_INTERVAL) return
  typedAt = Date.now()
  typing.publish({}).catch(() => {}) // the next key tries again
}

find('write').onsubmit = async (event) => {
  event.preventDefault()
  const text = event.target.text.value
  event.target.reset()
  typedAt = 0
  const message = { text, key: crypto.randomUUID() }
  find('error').textContent = await publish(message)
}

/** Tries until the server has answered. The key keeps a second attempt from being a second message. */
async function publish(message) {
  for (;;) {
    try {
      await room.publish(message)
      return ''
    } catch (error) {
      // From 100 on it is the server's answer.
      if (error.code >= 100 && !error.temporary) return `Not sent: ${error.message}`
      await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY))
    }
  }
}

room.subscribe()
typing.subscribe()
client.connect()
