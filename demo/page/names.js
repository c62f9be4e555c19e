const SHOWN = 1_500
// As long as the transition in style.css.
const FADE = 600

/** Says beside each line that somebody else draws who it is. */
export class Names {
  #layer
  /** @type {Map<string, { label: HTMLElement, timer: number }>} */
  #labels = new Map()

  constructor(layer) {
    this.#layer = layer
  }

  show(user, points) {
    const entry = this.#labels.get(user) ?? this.#make(user)
    const { label } = entry
    label.style.left = `${points.at(-2) * 100}%`
    label.style.top = `${points.at(-1) * 100}%`
    label.dataset.drawing = ''
    clearTimeout(entry.timer)
    entry.timer = setTimeout(() => this.#fade(user), SHOWN)
  }

  clear() {
    for (const { timer } of this.#labels.values()) clearTimeout(timer)
    this.#labels.clear()
    this.#layer.replaceChildren()
  }

  #make(user) {
    const label = document.createElement('span')
    label.textContent = user
    this.#layer.append(label)
    const entry = { label, timer: 0 }
    this.#labels.set(user, entry)
    return entry
  }

  #fade(user) {
    const { label } = this.#labels.get(user)
    this.#labels.delete(user)
    delete label.dataset.drawing
    setTimeout(() => label.remove(), FADE)
  }
}
