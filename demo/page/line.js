/**
 * @typedef {object} Stroke a line, or a piece of one
 * @property {string} id of pieces the line's, a dot, and the piece's number
 * @property {string} colour one of the inks, or `#rrggbb`
 * @property {number} [width] in thousandths of the sheet's width
 * @property {number[]} points x and y in turn, from 0 to 1
 * @property {string} [user]
 *
 * @typedef {'wet' | 'dry' | 'refused'} State on its way, on the board, or not wanted there
 *
 * @typedef {object} Run what is drawn with one movement of the pen
 * @property {string} colour
 * @property {number} [width]
 * @property {number[]} points
 * @property {boolean} refused
 */

/** The line to which a stroke belongs. @param {string} id */
export function lineOf(id) {
  return id.split('.', 1)[0]
}

/** A line: its pieces, which may arrive in any order. */
export class Line {
  /** @type {{ number: number, stroke: Stroke, state: State }[]} */
  #pieces = []
  /** @type {Run[] | undefined} */
  #runs

  /** @param {{ id: string, user: string | undefined }} line */
  constructor({ id, user }) {
    this.id = id
    this.user = user
  }

  get size() {
    return this.#pieces.length
  }

  /** @param {Stroke} stroke @param {State} state */
  add(stroke, state) {
    this.#runs = undefined
    const number = numberOf(stroke.id) ?? this.#pieces.length
    const after = this.#pieces.findLastIndex((piece) => piece.number <= number)
    this.#pieces.splice(after + 1, 0, { number, stroke, state })
  }

  /** @param {string} id */
  remove(id) {
    this.#runs = undefined
    this.#pieces = this.#pieces.filter(({ stroke }) => stroke.id !== id)
  }

  /** @param {string} id @param {State} state */
  mark(id, state) {
    for (const piece of this.#pieces) {
      if (piece.stroke.id !== id) continue
      // Wet or dry, it looks the same, and need not be drawn again.
      if ((piece.state === 'refused') !== (state === 'refused')) this.#runs = undefined
      piece.state = state
    }
  }

  /** @param {State} state @returns {Stroke[]} */
  strokes(state) {
    return this.#pieces.filter((piece) => piece.state === state).map(({ stroke }) => stroke)
  }

  /**
   * A piece that begins at the end of the one before is drawn together with it, since the soft edges of two ends over
   * each other make a knot.
   */
  get runs() {
    this.#runs ??= join(this.#pieces)
    return this.#runs
  }
}

function numberOf(id) {
  const number = id.slice(lineOf(id).length + 1)
  return /^\d{1,9}$/.test(number) ? Number(number) : undefined
}

function join(pieces) {
  /** @type {Run[]} */
  const runs = []
  for (const { stroke, state } of pieces) {
    const { colour, width, points } = stroke
    const refused = state === 'refused'
    const run = runs.at(-1)
    if (run !== undefined && goesOn(run, { colour, width, points, refused })) run.points.push(...points.slice(2))
    else runs.push({ colour, width, points: [...points], refused })
  }
  return runs
}

function goesOn(run, { colour, width, points, refused }) {
  if (run.colour !== colour || run.width !== width || run.refused !== refused) return false
  return run.points.at(-2) === points[0] && run.points.at(-1) === points[1]
}
