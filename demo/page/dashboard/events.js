import { element } from './element.js'
import { time } from './format.js'

const MAX_EVENTS = 50

/** The events, the latest first. Screen readers read each as it comes. */
export class Events {
  #list

  /** @param {HTMLElement} list */
  constructor(list) {
    this.#list = list
    // The keyboard must reach what scrolls; not every browser ensures that.
    list.parentElement.tabIndex = 0
  }

  /** @param {string} text @param {'good' | 'warn' | 'bad' | 'plain'} tone */
  add(text, tone = 'plain') {
    const now = new Date()
    const when = element('time', { dateTime: now.toISOString(), textContent: time(now) })
    this.#list.prepend(element('li', { dataset: { tone } }, when, element('span', { textContent: text })))
    while (this.#list.childElementCount > MAX_EVENTS) this.#list.lastElementChild.remove()
  }
}
