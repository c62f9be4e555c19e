import { element, write } from './element.ts'

export interface Column<Row> {
  /** By which the rows are ordered, if the column can order them. */
  readonly id: string
  readonly label: string
  /** In ascending order at first, and not from the highest. */
  readonly isText?: boolean
  /** The column cannot order the rows. */
  readonly isFixed?: boolean
  /** The label is for screen readers only. */
  readonly isUnlabelled?: boolean
  /** Left out on a phone. */
  readonly isMinor?: boolean
  show(row: Row): string
  /** The cell is a button with this name for screen readers, which calls `press`. */
  readonly button?: { label(row: Row): string; press(row: Row): void; isOff?(row: Row): boolean }
}

export interface Order {
  readonly order: string
  readonly descending: boolean
}

export interface DataTableOptions<Row> {
  readonly table: HTMLTableElement
  readonly columns: readonly Column<Row>[]
  readonly initial: Order
  idOf(row: Row): string
  ordered(order: Order): void
}

interface Shown<Row> {
  readonly line: HTMLTableRowElement
  readonly cells: readonly HTMLElement[]
  row: Row
}

/**
 * A table that changes while it is read. While the pointer or the focus is on a row, no row changes its place, so that a
 * click hits the right one.
 */
export class DataTable<Row> {
  readonly #options: DataTableOptions<Row>
  readonly #body: HTMLTableSectionElement
  readonly #headers = new Map<string, HTMLElement>()
  readonly #rows = new Map<string, Shown<Row>>()
  #order: Order
  #isSettled = true

  constructor(options: DataTableOptions<Row>) {
    this.#options = options
    this.#order = options.initial
    const { table, columns } = options
    this.#body = table.tBodies[0] as HTMLTableSectionElement
    table.tHead?.rows[0]?.append(...columns.map((column) => this.#header(column)))
    this.#showOrder()
  }

  get order(): Order {
    return this.#order
  }

  /** The next rows are of another query: they take their places at once. */
  unsettle(): void {
    this.#isSettled = false
  }

  show(rows: readonly Row[], isWhole: boolean): void {
    const { idOf } = this.#options
    this.#drop(new Set(rows.map(idOf)))
    for (const row of rows) this.#fill(this.#rows.get(idOf(row)) ?? this.#make(row), row)
    if (!this.#isHeld()) this.#arrange(rows)
    if (isWhole) this.#isSettled = true
  }

  clear(): void {
    this.#drop(new Set())
  }

  /** Something is being done to a row. */
  mark(id: string, isBusy: boolean): void {
    const entry = this.#rows.get(id)
    entry?.line.toggleAttribute('data-ending', isBusy)
    for (const button of entry?.line.querySelectorAll('button') ?? []) button.disabled = isBusy
  }

  #header({ id, label, isText = false, isFixed, isMinor = false, isUnlabelled }: Column<Row>): HTMLElement {
    const header = element('th', { scope: 'col', className: classOf(isText, isMinor) })
    if (isFixed) {
      header.append(element('span', { className: isUnlabelled ? 'sr-only' : 'head', textContent: label }))
      return header
    }
    const button = element('button', { type: 'button', textContent: label, dataset: { order: id } })
    button.addEventListener('click', () => {
      const { order, descending } = this.#order
      // The newest first, the highest first, the names in ascending order; again: the reverse.
      this.#order = { order: id, descending: order === id ? !descending : !isText && id !== 'age' }
      this.#showOrder()
      this.unsettle()
      this.#options.ordered(this.#order)
    })
    header.append(button)
    this.#headers.set(id, header)
    return header
  }

  #showOrder(): void {
    for (const [id, header] of this.#headers) {
      if (id !== this.#order.order) header.removeAttribute('aria-sort')
      else header.setAttribute('aria-sort', this.#order.descending ? 'descending' : 'ascending')
    }
  }

  #isHeld(): boolean {
    return this.#isSettled && (this.#body.matches(':hover') || this.#body.contains(document.activeElement))
  }

  #make(row: Row): Shown<Row> {
    const id = this.#options.idOf(row)
    const cells = this.#options.columns.map(({ isText = false, isMinor = false, button }) => {
      const cell = element('td', { className: classOf(isText, isMinor) })
      if (button === undefined) return cell
      const pressed = element('button', { type: 'button', className: 'cell' })
      pressed.addEventListener('click', () => button.press(entry.row))
      cell.append(pressed)
      return cell
    })
    const line = element('tr', { dataset: { row: id } }, ...cells)
    const entry: Shown<Row> = { line, cells, row }
    this.#rows.set(id, entry)
    this.#body.append(line)
    return entry
  }

  #fill(entry: Shown<Row>, row: Row): void {
    entry.row = row
    for (const [at, { show, button, isText }] of this.#options.columns.entries()) {
      const cell = entry.cells[at] as HTMLElement
      const text = show(row)
      const target = (cell.firstElementChild as HTMLButtonElement | null) ?? cell
      write(target, text)
      if (isText && cell.title !== text) cell.title = text
      if (button === undefined) continue
      target.setAttribute('aria-label', button.label(row))
      target.toggleAttribute('disabled', button.isOff?.(row) ?? entry.line.hasAttribute('data-ending'))
    }
  }

  #drop(wanted: ReadonlySet<string>): void {
    for (const [id, { line }] of this.#rows) {
      if (wanted.has(id)) continue
      this.#rows.delete(id)
      // Keyboard users continue with the next row.
      const next = (line.nextElementSibling ?? line.previousElementSibling)?.querySelector('button')
      if (line.contains(document.activeElement)) next?.focus()
      line.remove()
    }
  }

  #arrange(rows: readonly Row[]): void {
    for (const [place, row] of rows.entries()) {
      const { line } = this.#rows.get(this.#options.idOf(row)) as Shown<Row>
      const there = this.#body.rows[place]
      if (there !== line) this.#body.insertBefore(line, there ?? null)
    }
  }
}

function classOf(isText: boolean, isMinor: boolean): string {
  return [isText ? 'text' : 'number', ...(isMinor ? ['minor'] : [])].join(' ')
}
