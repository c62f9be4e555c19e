const MAX_EVENTS = 100

const time = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23'
})

/** The list of events, the latest first. */
export class Journal {
  #list

  constructor(list) {
    this.#list = list
  }

  /** @param {string} text @param {'good' | 'warn' | 'bad' | 'plain'} tone */
  add(text, tone = 'plain') {
    const now = new Date()
    const entry = document.createElement('li')
    const when = document.createElement('time')
    const what = document.createElement('span')
    entry.dataset.tone = tone
    when.dateTime = now.toISOString()
    when.textContent = time.format(now)
    what.textContent = text
    entry.append(when, what)
    this.#list.prepend(entry)
    while (this.#list.childElementCount > MAX_EVENTS) this.#list.lastElementChild.remove()
  }
}
