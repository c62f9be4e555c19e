import type { SlowReader } from '../../messages.ts'
import type { KnownNode } from '../model/cluster.ts'
import { bytes } from '../model/format.ts'
import { element } from './element.ts'

const MAX_ROWS = 5

/** The connections with the most bytes that wait to be read, over all nodes. */
export class SlowList {
  readonly #card: HTMLElement
  readonly #choose: (id: string) => void
  #shown = ''

  /** @param choose Called with the id of a connection that the user wants to see. */
  constructor(card: HTMLElement, choose: (id: string) => void) {
    this.#card = card
    this.#choose = choose
  }

  show(nodes: readonly KnownNode[]): void {
    const rows = nodes
      .flatMap(({ latest, label }) => latest.slow.map((reader) => ({ ...reader, node: label })))
      .sort((a, b) => b.buffered - a.buffered)
      .slice(0, MAX_ROWS)
    const text = JSON.stringify(rows)
    if (text === this.#shown) return
    this.#shown = text
    const [table, empty, body] = ['table', '.empty', 'tbody'].map(
      (name) => this.#card.querySelector(name) as HTMLElement
    )
    if (table) table.hidden = rows.length === 0
    if (empty) empty.hidden = rows.length > 0
    // The keyboard's place stays.
    const focused = (document.activeElement as HTMLElement | null)?.dataset.slow
    body?.replaceChildren(...rows.map((row) => this.#rowOf(row)))
    if (focused) body?.querySelector<HTMLElement>(`[data-slow="${CSS.escape(focused)}"]`)?.focus()
  }

  #rowOf({ id, user, route, buffered, node }: SlowReader & { readonly node: string }): HTMLElement {
    const button = element('button', {
      type: 'button',
      className: 'link',
      textContent: user ?? 'anonymous',
      dataset: { slow: id }
    })
    button.addEventListener('click', () => this.#choose(id))
    const more = element('span', { className: 'quiet', textContent: `${route} · ${node}` })
    return element(
      'tr',
      {},
      element('th', { scope: 'row' }, button, more),
      element('td', { textContent: bytes(buffered) })
    )
  }
}
