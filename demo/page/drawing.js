import { Line, lineOf } from './line.js'

/** @typedef {import('./line.js').Stroke} Stroke */

/**
 * The content of a board: its publications, taken in the channel's order, and over them the user's own strokes that are
 * still being sent.
 *
 * The same publications in the same order give the same board, however often a stroke arrives and however late. A
 * stroke counts once, by its id, and not at all once its line was taken back. A clear removes strokes for good.
 */
export class Drawing {
  /** Lines that are on the board at least in part, in the order of their arrival. @type {Map<string, Line>} */
  #dry = new Map()
  /** The user's own lines of which nothing is on the board yet. @type {Map<string, Line>} */
  #wet = new Map()
  /** The lines of the user's own strokes until they come back. @type {Map<string, Line>} */
  #own = new Map()
  /** Every stroke that ever arrived. @type {Set<string>} */
  #seen = new Set()
  /** Lines that were taken back. @type {Set<string>} */
  #undone = new Set()
  /** Lines that are being taken back here, and are not shown meanwhile. @type {Set<string>} */
  #undoing = new Set()

  /** How many strokes are shown: one drag of a pen is one, in however many pieces it came. */
  get count() {
    return this.lines.filter(({ size }) => size > 0).length
  }

  /** How many pieces of strokes are shown. */
  get size() {
    return this.lines.reduce((sum, line) => sum + line.size, 0)
  }

  /** The lines to show, the topmost last. */
  get lines() {
    const lines = [...this.#dry.values(), ...this.#wet.values()]
    if (this.#undoing.size === 0) return lines
    return lines.filter(({ id, user }) => !this.#undoing.has(keyOf(id, user)))
  }

  /** The pieces that were refused. @returns {Stroke[]} */
  get refused() {
    return [...new Set(this.#own.values())].flatMap((line) => line.strokes('refused'))
  }

  /** Forgets what came from the channel, which is read again. */
  reset() {
    this.#seen.clear()
    this.#undone.clear()
    this.#removeDry()
  }

  /**
   * Takes the next publication of the channel, and returns whether it brought a stroke that was not here yet.
   *
   * A publication with points is a stroke, whatever else is in it, since a client may add other members.
   */
  take(publication) {
    if (publication.points !== undefined) return this.#takeStroke(publication)
    if (publication.undo !== undefined) this.#takeUndo(publication)
    else if (publication.clear !== undefined) this.#removeDry()
    return false
  }

  /** The user's own stroke is being sent. @param {Stroke} stroke */
  draw(stroke) {
    const id = lineOf(stroke.id)
    const line = this.#dry.get(keyOf(id, stroke.user)) ?? this.#wet.get(id) ?? new Line({ id, user: stroke.user })
    if (line.size === 0) this.#wet.set(id, line)
    line.add(stroke, 'wet')
    this.#own.set(stroke.id, line)
  }

  /** An own stroke will not come back. */
  refuse(id) {
    this.#own.get(id)?.mark(id, 'refused')
  }

  /** It is being sent once more. */
  retry(id) {
    this.#own.get(id)?.mark(id, 'wet')
  }

  /** An own stroke was given up. */
  discard(id) {
    const line = this.#own.get(id)
    if (line === undefined) return
    this.#own.delete(id)
    line.remove(id)
    if (line.size > 0) return
    if (this.#wet.get(line.id) === line) this.#wet.delete(line.id)
    else this.#dry.delete(keyOf(line.id, line.user))
  }

  /** The user's last line that is shown; undefined if there is none. */
  lastLineOf(user) {
    return this.lines.findLast((line) => line.user === user)?.id
  }

  /** Hides an own line while it is being taken back; shows it again if that was refused. */
  hide(line, user) {
    this.#undoing.add(keyOf(line, user))
  }

  show(line, user) {
    this.#undoing.delete(keyOf(line, user))
  }

  #takeStroke(stroke) {
    const { id, user } = stroke
    const own = this.#own.get(id)
    const key = keyOf(lineOf(id), user)
    if (this.#seen.has(id) || this.#undone.has(key)) {
      this.#seen.add(id)
      this.discard(id)
      return false
    }
    this.#seen.add(id)
    const line = this.#dry.get(key) ?? (own?.user === user ? own : new Line({ id: lineOf(id), user }))
    if (line === own) {
      this.#own.delete(id)
      line.mark(id, 'dry')
    } else {
      this.discard(id)
      line.add(stroke, 'dry')
    }
    // With its first stroke a line gets its place among the other lines.
    if (this.#wet.get(line.id) === line) this.#wet.delete(line.id)
    this.#dry.set(key, line)
    return own === undefined
  }

  /** Only the author of a line may take it back. Strokes of it that arrive later are ignored. */
  #takeUndo({ undo, user }) {
    const key = keyOf(undo, user)
    this.#undone.add(key)
    this.#undoing.delete(key)
    const lines = [this.#dry.get(key), this.#wet.get(undo)].filter((line) => line?.user === user)
    for (const line of lines) {
      this.#dry.delete(key)
      this.#wet.delete(undo)
      for (const state of ['wet', 'refused']) for (const { id } of line.strokes(state)) this.#own.delete(id)
    }
  }

  /** Own strokes that are being sent will come after. */
  #removeDry() {
    for (const [key, line] of this.#dry) {
      this.#dry.delete(key)
      for (const { id } of line.strokes('dry')) line.remove(id)
      if (line.size > 0) this.#wet.set(line.id, line)
    }
  }
}

function keyOf(line, user) {
  return JSON.stringify([line, user])
}
