import { colourOf } from './people.js'

// At most ten places a second, of the hundred messages that a connection may send.
const INTERVAL = 100
// After this time without an update a pointer counts as resting, and is no longer shown.
const SHOWN = 4_000
// For users whose page sends no cursors, only strokes: shown at the place of their strokes.
const SHOWN_AFTER_STROKE = 1_500
// As long as the transition in board.css.
const FADE = 600

/** The others' pointers and names, on a separate channel without history. */
export class Cursors {
  #layer
  #connection
  /**
   * By client, or by user if only strokes of them are known. @type {Map<string, { label: HTMLElement, timer: number }>}
   */
  #labels = new Map()
  /** Clients that left. A place of theirs may come later, over another channel. @type {Set<string>} */
  #gone = new Set()
  #subscription
  /** @type {[number, number] | null | undefined} */
  #next
  #timer = 0

  /** @param {HTMLElement} layer @param {import('./connection.js').Connection} connection */
  constructor(layer, connection) {
    this.#layer = layer
    this.#connection = connection
  }

  /** @param {string} board */
  open(board) {
    this.close()
    const { client } = this.#connection
    const subscription = client.newSubscription(`cursors/${board}`)
    subscription.on('publication', ({ data, info }) => this.#received(data, info))
    subscription.subscribe()
    this.#subscription = subscription
  }

  close() {
    this.#subscription?.unsubscribe()
    this.#connection.client.removeSubscription(this.#subscription ?? null)
    this.#subscription = undefined
    for (const { timer } of this.#labels.values()) clearTimeout(timer)
    this.#labels.clear()
    this.#gone.clear()
    this.#layer.replaceChildren()
  }

  /** Sends the place of the own pointer to the others, now or in a moment; null once it has left. */
  moved(at) {
    this.#next = at
    if (this.#timer === 0) this.#send()
  }

  /** Another user drew a stroke. */
  drew({ user = '', points }) {
    if ([...this.#labels.values()].some(({ label }) => label.dataset.user === user && 'client' in label.dataset)) return
    this.#place(strokeKey(user), user, points.slice(-2), SHOWN_AFTER_STROKE)
  }

  /** A client left the board, and points at nothing any more. @param {{ client: string, user: string }} who */
  left({ client, user }) {
    this.#gone.add(client)
    this.#fade(client)
    this.#fade(strokeKey(user))
  }

  /** These clients are on the board. Without a word others left: their worker was killed. @param {Iterable<string>} clients */
  keep(clients) {
    const here = new Set(clients)
    for (const { label } of this.#labels.values()) {
      const { client } = label.dataset
      if (client !== undefined && !here.has(client)) this.left({ client, user: label.dataset.user })
    }
  }

  #send() {
    const at = this.#next
    this.#next = undefined
    if (at === undefined || this.#connection.id === '') return
    this.#timer = setTimeout(() => {
      this.#timer = 0
      this.#send()
    }, INTERVAL)
    // A refused place would be out of date if it were sent again.
    this.#subscription?.publish({ at }).catch(() => undefined)
  }

  #received({ at }, info) {
    if (info === undefined || info.client === this.#connection.id || this.#gone.has(info.client)) return
    if (at === null) this.#fade(info.client)
    else {
      this.#place(info.client, info.user, at, SHOWN)
      this.#labels.get(info.client).label.dataset.client = info.client
      this.#fade(strokeKey(info.user))
    }
  }

  #place(key, user, [x, y], time) {
    const entry = this.#labels.get(key) ?? this.#make(key, user)
    entry.label.style.left = `${x * 100}%`
    entry.label.style.top = `${y * 100}%`
    entry.label.dataset.shown = ''
    clearTimeout(entry.timer)
    entry.timer = setTimeout(() => this.#fade(key), time)
  }

  #make(key, user) {
    const label = document.createElement('span')
    label.dataset.user = user
    label.dataset.colour = colourOf(user)
    const name = document.createElement('b')
    name.textContent = user
    label.append(name)
    this.#layer.append(label)
    const entry = { label, timer: 0 }
    this.#labels.set(key, entry)
    return entry
  }

  #fade(key) {
    const entry = this.#labels.get(key)
    if (entry === undefined) return
    clearTimeout(entry.timer)
    this.#labels.delete(key)
    delete entry.label.dataset.shown
    setTimeout(() => entry.label.remove(), FADE)
  }
}

function strokeKey(user) {
  return `stroke ${user}`
}
