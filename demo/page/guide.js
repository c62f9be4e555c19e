import { Connection } from './connection.js'
import { guidePicture, guideRibbon } from './guide-picture.js'
import { OpenBoard } from './open-board.js'
import { Pens } from './pens.js'
import { GUIDE } from './people.js'

const STEP = 30
// Others see its line grow: a piece is sent this long after it began.
const PIECE_TIME = 100
const GLIDE = 120
// Places of its pointer, as often as a visitor's.
const POINTER_INTERVAL = 100
// Connections are shared out among the workers. After so many tries in vain it takes what it got.
const MAX_TRIES = 8
const PATIENCE = 20_000
const REST = 6_000
const BOW = 1_500
const LOOPS_PER_SECOND = 0.7

/**
 * A second client that draws on the visitor's board. It has a connection of its own, through another worker if there is
 * one: so whatever the visitor sees of it went through the server and its broker.
 *
 * Events: `open` and `down` of its connection, `left`.
 */
export class Guide extends EventTarget {
  #watch
  #isElsewhere
  /** @type {Connection | undefined} */
  #connection
  /** @type {OpenBoard | undefined} */
  #board
  #pointer
  #pointedAt = 0
  /** @type {[number, number] | undefined} */
  #lastPlace
  /** Increases with each thing that it is asked to do, which ends the one before. */
  #task = 0
  /** The number of the last picture. */
  #playing = -1
  #arrival

  /**
   * @param {object} options
   * @param {(board: OpenBoard) => void} options.watch gets each board before it is opened
   * @param {(connection: Connection) => Promise<boolean>} options.isElsewhere whether another worker serves it than the
   *   visitor's connection
   */
  constructor({ watch, isElsewhere }) {
    super()
    this.#watch = watch
    this.#isElsewhere = isElsewhere
  }

  get connection() {
    return this.#connection
  }

  /** Whether it draws its picture, or rests after it. */
  get isPlaying() {
    return this.#playing === this.#task
  }

  /** Connects, and opens a board. Rejects if that takes too long. @param {string} name */
  async arrive(name) {
    if (this.#board?.name === name) return this.#arrival
    this.#close()
    const connection = new Connection(GUIDE)
    this.#connection = connection
    this.#arrival = this.#open(connection, name)
    return this.#arrival
  }

  /** Draws its picture, if it is not stopped. What it drew earlier it takes back first. @param {string} name */
  async play(name) {
    const task = ++this.#task
    this.#playing = task
    await this.arrive(name)
    if (task !== this.#task) return
    while (this.#board.undo());
    for (const gesture of guidePicture()) {
      await this.#glide(gesture.points[0], task)
      await this.#draw(gesture, task)
      if (task !== this.#task) return
    }
    await wait(REST)
    if (task === this.#task) this.leave()
  }

  /** Draws a line that goes on until it is stopped. The connection must be there. */
  async ribbon() {
    const task = ++this.#task
    const pen = this.#pens({ colour: 'violet', width: 4 }).down(...guideRibbon(0))
    const start = performance.now()
    while (task === this.#task) {
      const at = guideRibbon(((performance.now() - start) / 1_000) * LOOPS_PER_SECOND)
      pen.to(...at)
      this.#point(at)
      await wait(STEP)
    }
    pen.lift()
  }

  /** Lifts its pen at once. */
  stop() {
    this.#task++
  }

  /** Lifts its pen at once, and leaves once its line is on the board, if nothing else is to do. */
  async bow() {
    const task = ++this.#task
    const end = performance.now() + PATIENCE
    do await wait(BOW)
    while (task === this.#task && this.#board?.unsent > 0 && performance.now() < end)
    if (task === this.#task) this.leave()
  }

  leave() {
    this.#task++
    this.#close()
  }

  #close() {
    if (this.#connection === undefined) return
    this.#board?.close()
    this.#board = undefined
    this.#pointer = undefined
    this.#connection.client.disconnect()
    this.#connection = undefined
    this.dispatchEvent(new Event('left'))
  }

  async #open(connection, name) {
    await happens(connection, 'open')
    for (let tries = 1; tries < MAX_TRIES && !(await this.#isElsewhere(connection)); tries++) {
      const opened = happens(connection, 'open')
      connection.restart()
      await opened
    }
    for (const type of ['open', 'down']) connection.addEventListener(type, () => this.dispatchEvent(new Event(type)))
    const board = new OpenBoard(connection, name)
    this.#board = board
    this.#watch(board)
    const ready = happens(board, 'ready')
    board.open()
    this.#pointer = connection.client.newSubscription(`cursors/${name}`)
    this.#pointer.subscribe()
    await ready
    this.dispatchEvent(new Event('open'))
  }

  #pens({ colour, width }) {
    const board = this.#board
    return new Pens({
      tool: () => ({ colour, width }),
      wet: () => undefined,
      drawn: (stroke) => board.draw(stroke),
      pieceTime: PIECE_TIME
    })
  }

  async #glide(to, task) {
    const from = this.#lastPlace ?? [to[0] - 0.12, to[1] + 0.1]
    await this.#during(GLIDE, task, (part) => {
      this.#point([from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part])
    })
  }

  async #draw({ colour, width, seconds, points }, task) {
    if (task !== this.#task) return
    const pen = this.#pens({ colour, width }).down(...points[0])
    await this.#during(seconds * 1_000, task, (part) => {
      const at = part * (points.length - 1)
      const [before, after] = [points[Math.floor(at)], points[Math.ceil(at)]]
      const place = [0, 1].map((axis) => before[axis] + (after[axis] - before[axis]) * (at % 1))
      pen.to(...place)
      this.#point(place)
    })
    pen.lift()
  }

  /** Calls this with the part of the time that has passed, up to 1, unless it is stopped. */
  async #during(time, task, act) {
    const start = performance.now()
    for (let part = 0; part < 1 && task === this.#task; await wait(STEP)) {
      part = Math.min(1, (performance.now() - start) / time)
      act(part)
    }
  }

  #point(at) {
    this.#lastPlace = at
    const now = performance.now()
    if (now - this.#pointedAt < POINTER_INTERVAL || this.#connection?.id === '') return
    this.#pointedAt = now
    this.#pointer?.publish({ at }).catch(() => undefined) // a place of a moment ago is of no use
  }
}

/** Whether the guide draws by itself: on the board of a visitor who is alone, over nothing but lines of its own. */
export function mayPlay({ lines, clients, self }) {
  const others = clients.filter(({ client, user }) => client !== self && user !== GUIDE)
  return others.length === 0 && lines.every(({ user }) => user === GUIDE)
}

function happens(target, type) {
  const { promise, resolve, reject } = Promise.withResolvers()
  const timer = setTimeout(() => reject(new Error('The second client cannot connect')), PATIENCE)
  target.addEventListener(type, resolve, { once: true })
  return promise.finally(() => clearTimeout(timer))
}

function wait(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
