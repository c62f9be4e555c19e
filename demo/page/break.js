import { adminKey } from './admin-key.js'
import { experiment } from './experiment.js'
import { flood, sendGarbage } from './mischief.js'

const ASK_INTERVAL = 250
// Three workers are replaced in about five seconds, and in a minute on a busy machine.
const PATIENCE = 180_000

/** The panel that breaks the demo, and reports the result. */
export class BreakPanel {
  #panel
  #connection
  #board
  #isRunning = false
  /** The action of each button; resolves with the text to report. */
  #acts = {
    restart: async () => {
      const { workers } = await this.#askAndWait('restart')
      return `${workers} workers replaced, one by one`
    },
    kill: async () => {
      await this.#askAndWait('kill')
      return 'Another worker is in its place'
    },
    redis: async () => {
      await this.#askAndWait('redis')
      return 'Redis is back'
    },
    cut: async () => {
      await this.#ask({ action: 'cut', connection: this.#connection.id })
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
   * @param {HTMLDetailsElement} panel
   * @param {{ connection: import('./connection.js').Connection, board: () => string }} options
   */
  constructor(panel, { connection, board }) {
    this.#panel = panel
    this.#connection = connection
    this.#board = board
    for (const button of this.#buttons()) {
      button.addEventListener('click', () => this.#run(button.dataset.action))
    }
    panel.addEventListener('toggle', () => panel.open && void this.refresh())
  }

  /** Shows what may be broken. Without the administrator key there is no panel. */
  async refresh() {
    try {
      this.#show(await this.#ask())
      // The dashboard opens in another tab, which does not have the key.
      this.#panel.querySelector('a[href^="/dashboard"]').href = `/dashboard#key=${adminKey()}`
      this.#panel.hidden = false
    } catch {
      // No administrator, or the server is not reachable: the panel stays as it is, at first hidden.
    }
  }

  #show({ refusals }) {
    for (const button of this.#buttons()) {
      const refusal = refusals[button.dataset.action] ?? ''
      button.dataset.refused = refusal
      button.disabled = this.#isRunning || refusal !== ''
      this.#part(button.dataset.action, '.reason').replaceChildren(...withCommands(refusal))
    }
  }

  async #run(action) {
    this.#setRunning(true)
    const output = this.#part(action, 'output')
    output.dataset.tone = 'plain'
    output.replaceChildren(paragraph('Under way …'))
    let wasHidden = document.hidden
    const hidden = new AbortController()
    document.addEventListener('visibilitychange', () => (wasHidden ||= document.hidden), { signal: hidden.signal })
    try {
      let told
      const outcome = await experiment(this.#connection, async () => {
        told = await this.#acts[action]()
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
      this.#setRunning(false)
    }
  }

  #setRunning(isRunning) {
    this.#isRunning = isRunning
    this.#panel.toggleAttribute('data-running', isRunning)
    for (const button of this.#buttons()) button.disabled = isRunning || button.dataset.refused !== ''
  }

  /** Requests an action that takes a while, and resolves once it is done. */
  async #askAndWait(action) {
    let state = await this.#ask({ action, connection: this.#connection.id }).catch(unlessLost)
    const end = performance.now() + PATIENCE
    while (state === undefined || state.running !== null) {
      if (performance.now() > end) throw new Error('It takes too long')
      await new Promise((resolve) => setTimeout(resolve, ASK_INTERVAL))
      // The process that answers may be the one that is broken.
      state = await this.#ask().catch(unlessLost)
    }
    if (state.failure !== null) throw new Error(`It did not end well: ${state.failure}`)
    return state
  }

  /** The possible actions now, or why this action is not possible. */
  async #ask(body) {
    const response = await fetch('/api/break', {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${this.#connection.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body)
    })
    const answer = await response.json()
    if (!response.ok) throw Object.assign(new Error(answer.message), { status: response.status })
    return answer
  }

  #buttons() {
    return this.#panel.querySelectorAll('button[data-action]')
  }

  #part(action, selector) {
    return this.#panel.querySelector(`[data-action="${action}"]`).closest('li').querySelector(selector)
  }
}

// No answer, or none from the primary process: it may have begun all the same.
function unlessLost(error) {
  if (error.status !== undefined && error.status < 500) throw error
  return undefined
}

/** A sentence with commands in quotation marks, which must not be broken across lines. */
function withCommands(text) {
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
