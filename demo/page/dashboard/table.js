import { COLUMNS, keyOf, ranked, unpack } from './columns.js'
import { element, write } from './element.js'
import { count } from './format.js'

// As many as each node sends: the first of all are among them.
const MAX_ROWS = 100
const TYPING = 250

/**
 * The connections of all nodes, in the requested order. While the pointer or the focus is on a row, no row changes its
 * place, so that a click hits the right one.
 *
 * Events: `query` (`detail` is one: ask the nodes for it) and `disconnect` (`detail` is a row).
 */
export class ConnectionTable extends EventTarget {
  /** The query; its shape is the nodes' (demo/dashboard/connection-table.ts). */
  query = { order: 'age', descending: false, search: '' }
  #parts
  #headers = new Map()
  /** @type {Map<string, { element: HTMLElement, cells: HTMLElement[], row: object }>} */
  #rows = new Map()
  /** The latest answer of each node. @type {Map<string, object>} */
  #answers = new Map()
  #isSettled = true
  #typing = 0

  /** @param {{ table: HTMLTableElement, filter: HTMLInputElement, summary: HTMLElement, said: HTMLElement, empty: HTMLElement }} parts */
  constructor(parts) {
    super()
    this.#parts = { ...parts, body: parts.table.tBodies[0] }
    const head = parts.table.tHead.rows[0]
    for (const column of COLUMNS) head.append(this.#header(column))
    head.append(element('th', { scope: 'col' }, element('span', { className: 'sr-only', textContent: 'Disconnect' })))
    parts.filter.addEventListener('input', () => {
      clearTimeout(this.#typing)
      this.#typing = setTimeout(() => this.#look({ search: parts.filter.value.trim() }), TYPING)
    })
    this.#showOrder()
  }

  /** @param {{ node: string, query: string, rows: unknown[][], total: number, found: number }} answer */
  take(answer) {
    // An answer for another page, or for an earlier query of this page.
    if (answer.query === keyOf(this.query)) this.#answers.set(answer.node, answer)
  }

  /**
   * Shows the answers.
   *
   * @param {Map<string, string>} names of the present nodes, by their ids
   * @param {string} own the id of this page's connection
   */
  show(names, own) {
    for (const node of this.#answers.keys()) if (!names.has(node)) this.#answers.delete(node)
    const answers = [...this.#answers.values()]
    const rows = ranked(
      answers.flatMap((answer) => unpack(answer, names.get(answer.node))),
      this.query
    )
    const shown = rows.slice(0, MAX_ROWS)
    this.#drop(new Set(shown.map(({ id }) => id)))
    for (const row of shown) this.#fill(this.#rows.get(row.id) ?? this.#make(row), row, own)
    if (!this.#isHeld()) this.#arrange(shown)
    this.#summarize(answers, shown.length, names.size)
  }

  /** Forgets everything, at sign-out. */
  clear() {
    this.#answers.clear()
    this.#drop(new Set())
  }

  /** A connection is being ended, or could not be. */
  mark(id, isEnding) {
    const entry = this.#rows.get(id)
    if (entry === undefined) return
    entry.element.toggleAttribute('data-ending', isEnding)
    entry.element.querySelector('button').disabled = isEnding
  }

  #header({ id, label, isText = false }) {
    const button = element('button', { type: 'button', textContent: label, dataset: { order: id } })
    button.addEventListener('click', () => {
      const { order, descending } = this.query
      // The newest first, the highest first, the names in ascending order; again: the reverse.
      this.#look({ order: id, descending: order === id ? !descending : !isText && id !== 'age' })
    })
    const header = element('th', { scope: 'col', className: isText ? '' : 'number' }, button)
    this.#headers.set(id, header)
    return header
  }

  #look(change) {
    this.query = { ...this.query, ...change }
    this.#isSettled = false
    this.#showOrder()
    // The present rows are put in order at once. The answers complete them.
    for (const answer of this.#answers.values()) answer.query = ''
    this.dispatchEvent(new CustomEvent('query', { detail: this.query }))
  }

  #showOrder() {
    for (const [id, header] of this.#headers) {
      if (id !== this.query.order) header.removeAttribute('aria-sort')
      else header.setAttribute('aria-sort', this.query.descending ? 'descending' : 'ascending')
    }
  }

  #isHeld() {
    const { body } = this.#parts
    return this.#isSettled && (body.matches(':hover') || body.contains(document.activeElement))
  }

  #make({ id }) {
    const cells = COLUMNS.map(({ isText }) => element('td', { className: isText ? '' : 'number' }))
    const button = element('button', { className: 'button', type: 'button', textContent: 'Disconnect' })
    button.addEventListener('click', () => {
      this.dispatchEvent(new CustomEvent('disconnect', { detail: this.#rows.get(id).row }))
    })
    const line = element('tr', { dataset: { connection: id } }, ...cells, element('td', {}, button))
    const entry = { element: line, cells, row: {} }
    this.#rows.set(id, entry)
    this.#parts.body.append(line)
    return entry
  }

  #fill(entry, row, own) {
    entry.row = row
    for (const [at, { show }] of COLUMNS.entries()) write(entry.cells[at], show(row))
    entry.cells.at(-1).title = row.channels.join(', ')
    entry.element.toggleAttribute('data-own', row.id === own)
    const isOwn = row.id === own ? ', this page' : ''
    const button = entry.element.querySelector('button')
    button.setAttribute('aria-label', `Disconnect ${row.user ?? 'anonymous'}, ${row.route}, ${row.node}${isOwn}`)
  }

  #drop(wanted) {
    for (const [id, { element: line }] of this.#rows) {
      if (wanted.has(id)) continue
      this.#rows.delete(id)
      // Keyboard users continue with the next row.
      const next = (line.nextElementSibling ?? line.previousElementSibling)?.querySelector('button')
      if (line.contains(document.activeElement)) (next ?? this.#parts.filter).focus()
      line.remove()
    }
  }

  #arrange(shown) {
    const { body } = this.#parts
    for (const [place, { id }] of shown.entries()) {
      const { element: line } = this.#rows.get(id)
      if (body.rows[place] !== line) body.insertBefore(line, body.rows[place] ?? null)
    }
  }

  #summarize(answers, shown, nodes) {
    const current = answers.filter(({ query }) => query !== '')
    const total = current.reduce((sum, answer) => sum + answer.total, 0)
    const found = current.reduce((sum, answer) => sum + answer.found, 0)
    const { search } = this.query
    const many = found === 1 ? 'connection' : 'connections'
    const of = search === '' ? '' : ` with “${search}”, of ${count(total)}`
    const text = `${shown < found ? `The first ${count(shown)} of ` : ''}${count(found)} ${many}${of}`
    const isWhole = current.length >= nodes
    if (isWhole || this.#isSettled) write(this.#parts.summary, text)
    this.#parts.empty.hidden = shown > 0
    if (isWhole && !this.#isSettled) {
      this.#isSettled = true
      write(this.#parts.said, text)
    }
  }
}
