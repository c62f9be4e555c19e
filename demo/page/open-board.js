import { Drawing } from './drawing.js'
import { lineOf } from './line.js'
import { Outbox } from './outbox.js'
import { Stream } from './stream.js'

/**
 * A board from the view of this page: what is on it, and what is being sent to it. Strokes wait here while there is no
 * connection, or while another board is shown.
 *
 * Events, some with `detail`: `change`; `stroke` (of another user, just drawn); `clear` (`user`); `refused` (`code`,
 * `message`); `ready`, as of a `Stream` and with how many strokes were `missed`; `join`, `leave`, `reset` and `ended` as
 * there. For a ledger, each with the `id` of a piece: `drawn` here, `sent` (the server has it), `given-up`, and `arrived`
 * from the channel.
 */
export class OpenBoard extends EventTarget {
  drawing = new Drawing()
  /** The reason of the last refusal. It stays while another board is shown. */
  refusal = ''
  #connection
  #outbox
  /** @type {Stream | undefined} */
  #stream
  /** Strokes of others are reported once the board is complete. */
  #isComplete = false
  /** Strokes of others of which something arrived since the last subscribe. @type {Set<string>} */
  #missed = new Set()

  /** @param {import('./connection.js').Connection} connection @param {string} name */
  constructor(connection, name) {
    super()
    this.name = name
    this.#connection = connection
    this.#outbox = new Outbox({
      publish: (message) => this.#publish(message),
      refused: (message, error) => this.#refuse(message, error)
    })
    connection.addEventListener('open', () => this.#outbox.open())
    connection.addEventListener('down', () => this.#outbox.close())
    if (connection.status === 'connected') this.#outbox.open()
  }

  get unsent() {
    return this.#outbox.size
  }

  /** Shows it from now on. */
  open() {
    this.drawing.reset()
    this.#isComplete = false
    const stream = new Stream(this.#connection.client, this.#channel)
    this.#stream = stream
    stream.addEventListener('subscribed', () => {
      this.#missed.clear()
    })
    stream.addEventListener('reset', () => {
      this.drawing.reset()
      this.#emit('reset')
    })
    stream.addEventListener('publication', ({ detail: { data } }) => this.#take(data))
    stream.addEventListener('ready', ({ detail }) => this.#ready(detail))
    for (const type of ['join', 'leave', 'ended']) {
      stream.addEventListener(type, ({ detail }) => this.#emit(type, detail))
    }
  }

  close() {
    this.#stream?.close()
    this.#stream = undefined
  }

  /** @returns {Promise<{ client: string, user: string }[]>} */
  async presence() {
    return this.#stream?.presence() ?? []
  }

  /** @param {import('./line.js').Stroke} stroke */
  draw(stroke) {
    const signed = { ...stroke, user: this.#connection.user }
    this.drawing.draw(signed)
    this.#emit('drawn', { id: stroke.id })
    this.#outbox.add(stroke.id, signed)
    this.#emit('change')
  }

  /** Takes back the user's own last line; returns whether there was one. */
  undo() {
    const { user } = this.#connection
    const line = this.drawing.lastLineOf(user)
    if (line === undefined) return false
    const refused = this.drawing.refused.filter(({ id }) => lineOf(id) === line)
    if (refused.length > 0) {
      for (const { id } of refused) this.drawing.discard(id)
    } else {
      this.drawing.hide(line, user)
      this.#outbox.add(undoId(line), { undo: line, user })
    }
    this.#emit('change')
    return true
  }

  /** Removes everything from the board, for all users. Resolves with how many strokes there were. */
  async clear() {
    const id = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('')
    const { data } = await this.#connection.client.rpc('board.clear', { board: this.name, id })
    return data.cleared
  }

  /** Sends the refused strokes once more. */
  retry() {
    for (const stroke of this.drawing.refused) {
      this.drawing.retry(stroke.id)
      this.#emit('drawn', { id: stroke.id })
      this.#outbox.add(stroke.id, stroke)
    }
    this.#emit('change')
  }

  /** Gives up the refused strokes. */
  discard() {
    for (const { id } of this.drawing.refused) this.drawing.discard(id)
    this.#emit('change')
  }

  get #channel() {
    return `boards/${this.name}`
  }

  async #publish(message) {
    await this.#connection.client.publish(this.#channel, message)
    if (message.undo === undefined) this.#emit('sent', { id: message.id })
    if (message.undo !== undefined) this.#outbox.confirm(undoId(message.undo))
    // While another board is shown, nothing comes back.
    else if (this.#stream === undefined) this.#outbox.confirm(message.id)
    this.#emit('change')
  }

  #take(publication) {
    const { id, clear, user } = publication
    this.#outbox.confirm(id)
    if (id !== undefined) this.#emit('arrived', { id })
    const isNew = this.drawing.take(publication)
    if (isNew) this.#missed.add(JSON.stringify([lineOf(id), user]))
    if (isNew && this.#isComplete) this.#emit('stroke', publication)
    if (clear !== undefined && this.#isComplete) this.#emit('clear', { user })
    this.#emit('change')
  }

  #ready({ how }) {
    this.#isComplete = true
    if (how === 'reloaded') this.#outbox.again()
    this.#emit('ready', { how, missed: this.#missed.size })
    this.#emit('change')
  }

  #refuse(message, error) {
    this.refusal = error.message
    if (message.undo === undefined) {
      this.drawing.refuse(message.id)
      this.#emit('given-up', { id: message.id })
    } else this.drawing.show(message.undo, message.user)
    this.#emit('refused', error)
    this.#emit('change')
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }))
  }
}

function undoId(line) {
  return `undo ${line}`
}
