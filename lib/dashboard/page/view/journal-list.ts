import { time } from '../model/format.ts'
import type { Entry } from '../model/journal.ts'
import { element } from './element.ts'

const MAX_ENTRIES = 100

/** What happened, the latest first. Screen readers read each entry as it comes. */
export class JournalList {
  readonly #list: HTMLElement
  #entries: Entry[] = []

  constructor(list: HTMLElement) {
    this.#list = list
  }

  add(...entries: readonly Entry[]): void {
    if (entries.length === 0) return
    for (const entry of [...entries].sort((a, b) => a.at - b.at)) {
      const place = this.#entries.findIndex(({ at }) => at <= entry.at)
      const at = place === -1 ? this.#entries.length : place
      this.#entries.splice(at, 0, entry)
      this.#list.insertBefore(lineOf(entry), this.#list.children[at] ?? null)
    }
    while (this.#entries.length > MAX_ENTRIES) {
      this.#entries.pop()
      this.#list.lastElementChild?.remove()
    }
  }

  clear(): void {
    this.#entries = []
    this.#list.replaceChildren()
  }
}

function lineOf({ at, text, tone }: Entry): HTMLElement {
  const when = element('time', { dateTime: new Date(at).toISOString(), textContent: time(at) })
  return element('li', { dataset: { tone } }, when, element('span', { textContent: text }))
}
