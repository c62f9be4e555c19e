import { experiment } from './experiment.js'
import { flood, sendGarbage } from './mischief.js'
import { breakAndWait, cut } from './panel-api.js'

/** The buttons that break one thing each, and report what the board's users would notice of it. */
export class SingleActions {
  #list
  #connection
  #board
  #around
  #isRunning = false
  /** The action of each button; resolves with the text to report. */
  #acts = {
    restart: async (shown) => {
      const { workers } = await breakAndWait(this.#connection, 'restart', shown)
      return `${workers} workers replaced, one by one`
    },
    kill: async (shown) => {
      await breakAndWait(this.#connection, 'kill', shown)
      return 'Another worker is in its place'
    },
    redis: async () => {
      await breakAndWait(this.#connection, 'redis')
      return 'Redis is back'
    },
    cut: async () => {
      await cut(this.#connection)
      return 'Cut without a close frame'
    },
    flood: async () => {
      const { id } = this.#connection
      const { sent, refused } = await flood(this.#connection)
      const after = this.#connection.id === id ? 'the connection is still the same' : 'the connection is another one'
      return `${refused} of ${sent} messages refused; ${after}`
    },
    garbage: async () => {
      const answers = await sendGarbage(this.#board(), this.#connection.token)
      return answers.map(({ what, answer }) => `${what}: ${answer}`)
    }
  }

  /**
   * @param {HTMLElement} list
   * @param {object} options
   * @param {import('./connection.js').Connection} options.connection
   * @param {() => string} options.board
   * @param {(action: string, act: (arrived: (name: string, now: number) => void, shown: (state: object) => void) =>
   *   Promise<import('./experiment.js').Outcome>) => Promise<import('./experiment.js').Outcome>} options.around called
   *   with each action; runs it
   */
  constructor(list, { connection, board, around }) {
    this.#list = list
    this.#connection = connection
    this.#board = board
    this.#around = around
    for (const button of this.#buttons()) {
      button.addEventListener('click', () => this.#run(button.dataset.action))
    }
  }

  /** Shows which actions are possible. @param {Record<string, string | null>} refusals */
  show(refusals, isBusy = this.#isRunning) {
    for (const button of this.#buttons()) {
      const refusal = refusals[button.dataset.action] ?? ''
      button.dataset.refused = refusal
      button.disabled = isBusy || refusal !== ''
      this.#part(button.dataset.action, '.reason').replaceChildren(...withCommands(refusal))
    }
  }

  /** Nothing else can be broken meanwhile. */
  setBusy(isBusy) {
    for (const button of this.#buttons()) button.disabled = isBusy || button.dataset.refused !== ''
  }

  async #run(action) {
    this.#isRunning = true
    const output = this.#part(action, 'output')
    output.dataset.tone = 'plain'
    output.replaceChildren(paragraph('Under way …'))
    let wasHidden = document.hidden
    const hidden = new AbortController()
    document.addEventListener('visibilitychange', () => (wasHidden ||= document.hidden), { signal: hidden.signal })
    try {
      let told
      const outcome = await this.#around(action, (arrived, shown) => {
        const act = async () => {
          told = await this.#acts[action](shown)
        }
        return experiment({ you: this.#connection }, act, arrived)
      })
      const { lost, duplicated, gap } = outcome
      output.dataset.tone = lost + duplicated === 0 ? 'good' : 'bad'
      const figures = paragraph(`lost ${lost}, duplicated ${duplicated}, gap ${gap} ms`)
      figures.className = 'figures-line'
      output.replaceChildren(figures, ...[told].flat().map(paragraph))
      // Browsers run timers of hidden pages only once a second.
      if (wasHidden) output.append(paragraph('The page was in the background: the gap is the browser’s'))
    } catch (error) {
      output.dataset.tone = 'bad'
      output.replaceChildren(paragraph(error.message))
    } finally {
      hidden.abort()
      this.#isRunning = false
    }
  }

  #buttons() {
    return this.#list.querySelectorAll('button[data-action]')
  }

  #part(action, selector) {
    return this.#list.querySelector(`[data-action="${action}"]`).closest('li').querySelector(selector)
  }
}

/** A sentence with commands in quotation marks, which must not be broken across lines. */
export function withCommands(text) {
  return text.split('"').map((part, at) => {
    if (at % 2 === 0) return part
    const command = document.createElement('code')
    command.textContent = part
    return command
  })
}

function paragraph(text) {
  const element = document.createElement('p')
  element.textContent = text
  return element
}
