import { Line, lineOf } from './line.js'

/** @typedef {import('./line.js').Stroke} Stroke */

/**
 * What is on a board: its publications, taken in the channel's order, and over them the strokes of one's own that are
 * still on their way.
 *
 * Whoever takes the same publications in the same order has the same board, however often a stroke comes and however
 * late: a stroke counts once, by its id, and not at all once its line was taken back; what a clear took away stays
 * away.
 */
export class Drawing {
  /** Lines of which something is on the board, in the order in which they came there. @type {Map<string, Line>} */
  #dry = new Map()
  /** Lines of one's own of which nothing is there yet. @type {Map<string, Line>} */
  #wet = new Map()
  /** Where one's own strokes are until they come back. @type {Map<string, Line>} */
  #own = new Map()
  /** Every stroke that ever came. @type {Set<string>} */
  #seen = new Set()
  /** Lines that were taken back. @type {Set<string>} */
  #undone = new Set()
  /** Lines that are being taken back here, and not shown meanwhile. @type {Set<string>} */
  #undoing = new Set()

  /** How many strokes are shown. */
  get size() {
    return this.lines.reduce((sum, line) => sum + line.size, 0)
  }

  /** The lines to be shown, the topmost last. */
  get lines() {
    const lines = [...this.#dry.values(), ...this.#wet.values()]
    if (this.#undoing.size === 0) return lines
    return lines.filter(({ id, user }) => !this.#undoing.has(keyOf(id, user)))
  }

  /** The strokes that nobody wanted. @returns {Stroke[]} */
  get refused() {
    return [...new Set(this.#own.values())].flatMap((line) => line.strokes('refused'))
  }

  /** Forgets what came from the channel, which is read anew. */
  reset() {
    this.#seen.clear()
    this.#undone.clear()
    this.#removeDry()
  }

  /**
   * Takes the next publication of the channel, and says whether it brought a stroke that was not here yet.
   *
   * What has points is a stroke, whatever else is in it: only those come from clients that may publish what they like.
   */
  take(publication) {
    if (publication.points !== undefined) return this.#takeStroke(publication)
    if (publication.undo !== undefined) this.#takeUndo(publication)
    else if (publication.clear !== undefined) this.#removeDry()
    return false
  }

  /** A stroke of one's own, on its way. @param {Stroke} stroke */
  draw(stroke) {
    const id = lineOf(stroke.id)
    const line = this.#dry.get(keyOf(id, stroke.user)) ?? this.#wet.get(id) ?? new Line({ id, user: stroke.user })
    if (line.size === 0) this.#wet.set(id, line)
    line.add(stroke, 'wet')
    this.#own.set(stroke.id, line)
  }

  /** A stroke of one's own will not come back. */
  refuse(id) {
    this.#own.get(id)?.mark(id, 'refused')
  }

  /** It is on its way once more. */
  retry(id) {
    this.#own.get(id)?.mark(id, 'wet')
  }

  /** A stroke of one's own was given up. */
  discard(id) {
    const line = this.#own.get(id)
    if (line === undefined) return
    this.#own.delete(id)
    line.remove(id)
    if (line.size > 0) return
    if (this.#wet.get(line.id) === line) this.#wet.delete(line.id)
    else this.#dry.delete(keyOf(line.id, line.user))
  }

  /** The user's last line that is shown; undefined where there is none. */
  lastLineOf(user) {
    return this.lines.findLast((line) => line.user === user)?.id
  }

  /** Hides a line of the user's own while it is being taken back; shows it again where that was refused. */
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
    // With its first stroke a line takes its place among the others'.
    if (this.#wet.get(line.id) === line) this.#wet.delete(line.id)
    this.#dry.set(key, line)
    return own === undefined
  }

  /** Only who drew a line may take it back. Strokes of it that are on their way will find it gone. */
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

  /** One's own strokes that are on their way will come after. */
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
