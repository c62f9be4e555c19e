import { adminKey } from './admin-key.js'
import { experiment } from './experiment.js'
import { askBreaker, breakAndWait, cut } from './panel-api.js'
import { SingleActions, withCommands } from './single-actions.js'
import { StepList } from './step-list.js'

// Between two steps marks arrive undisturbed, so that each gap can be told from the next.
const BREATH = 900
const COUNT_INTERVAL = 250
const NO_KEY =
  'This page may look only. The address that "npm start" printed in its terminal carries a key: open that one to press the button.'

/** What was broken, as the timeline's marks. @typedef {'restart' | 'worker' | 'kill' | 'redis' | 'cut' | 'flood' | 'garbage' | 'done'} Kind */

/** The panel that breaks the demo while a line is drawn, and counts what the board loses of it. */
export class BreakPanel {
  #panel
  #connection
  #guide
  #board
  #ledger
  #deliveries
  #strip
  #steps
  #single
  #button
  #label = 'Restart, kill and cut'
  #isRunning = false
  /** Of all experiments that ended. */
  #past = { made: 0, lost: 0, doubled: 0 }
  /** The marks of the experiment in progress. @type {{ counts: import('./experiment.js').Outcome } | undefined} */
  #pulse
  /** @type {import('./panel-api.js').BreakState | undefined} */
  #state

  /**
   * @param {HTMLElement} panel
   * @param {object} options
   * @param {import('./connection.js').Connection} options.connection
   * @param {import('./guide.js').Guide} options.guide
   * @param {() => string} options.board
   * @param {import('./ledger.js').Ledger} options.ledger
   * @param {import('./deliveries.js').Deliveries} options.deliveries
   * @param {import('./strip.js').Strip} options.strip
   */
  constructor(panel, { connection, guide, board, ledger, deliveries, strip }) {
    this.#panel = panel
    this.#connection = connection
    this.#guide = guide
    this.#board = board
    this.#ledger = ledger
    this.#deliveries = deliveries
    this.#strip = strip
    this.#steps = new StepList(panel.querySelector('.steps'))
    this.#button = panel.querySelector('#break-all')
    this.#button.addEventListener('click', () => this.#breakAll())
    this.#single = new SingleActions(panel.querySelector('.single'), {
      connection,
      board,
      around: (action, act) => this.#alone(action, act)
    })
    setInterval(() => this.count(), COUNT_INTERVAL)
  }

  /** Whether something was broken: the panel is as large as that takes. */
  get hasBeenUsed() {
    return this.#isRunning || this.#past.made > 0
  }

  /** Shows what may be broken. */
  async refresh() {
    if (this.#isRunning) return
    if (adminKey() === undefined) {
      this.#say(NO_KEY)
      return
    }
    try {
      this.#show(await askBreaker(this.#connection.token))
      // The dashboard opens in another tab, which does not have the key.
      this.#panel.querySelector('a[href^="/dashboard"]').href = `/dashboard#key=${adminKey()}`
    } catch {
      // If the server is not reachable, the panel stays as it is.
    }
  }

  /** Shows the counts as they are now. */
  count() {
    const { made, lost, doubled, underway } = this.#ledger.totals(performance.now())
    const pulse = this.#pulse?.counts
    const set = (name, value) => {
      const element = this.#panel.querySelector(`[data-count="${name}"]`)
      if (element.textContent !== String(value)) element.textContent = String(value)
      element.dataset.tone = value === 0 ? 'good' : 'bad'
    }
    set('lost', lost + this.#past.lost)
    set('doubled', doubled + this.#past.doubled + (pulse?.duplicated ?? 0))
    const checked = made + this.#past.made + (pulse?.made ?? 0)
    const waiting = underway + (pulse?.lost ?? 0)
    const text = `${checked} pieces of lines and marks checked${waiting > 0 ? `, ${waiting} on their way` : ''}`
    const element = this.#panel.querySelector('.checked')
    if (element.textContent !== text) element.textContent = text
  }

  #show(state) {
    this.#state = state
    const { restart, cut: cutting } = state.refusals
    this.#panel.dataset.may = ''
    this.#button.disabled = cutting !== null
    this.#label = restart === null ? 'Restart, kill and cut' : 'Cut both connections'
    this.#button.textContent = this.#label
    this.#say(restart ?? '')
    this.#single.show(state.refusals)
    this.#panel.querySelector('.more').hidden = false
  }

  #say(text) {
    this.#panel.querySelector('.needs').replaceChildren(...withCommands(text))
  }

  async #breakAll() {
    const name = this.#board()
    this.#steps.reset()
    this.#setRunning(true)
    try {
      await this.#guide.arrive(name)
      await this.#measure((arrived) => {
        const connections = { you: this.#connection, guide: this.#guide.connection }
        return experiment(connections, (pulse) => this.#whileDrawing(pulse), arrived)
      })
      await this.#settle()
      this.#finish('')
    } catch (error) {
      this.#finish(error.message)
    } finally {
      void this.#guide.bow()
      this.#setRunning(false)
    }
  }

  /** Waits until the last pieces of the line are back, or given up as lost. */
  async #settle() {
    while (this.#ledger.totals(performance.now()).underway > 0) await wait(COUNT_INTERVAL)
    this.count()
  }

  /** The guide draws a line, and meanwhile everything is broken, one after another. */
  async #whileDrawing(pulse) {
    this.#pulse = pulse
    const line = this.#guide.ribbon()
    try {
      if (this.#state?.refusals.restart === null) {
        await this.#step('restart', (shown) => breakAndWait(this.#connection, 'restart', shown))
        await wait(BREATH)
        await this.#step('kill', (shown) => breakAndWait(this.#connection, 'kill', shown))
        await wait(BREATH)
      } else for (const step of ['restart', 'kill']) this.#steps.set(step, 'skipped')
      await this.#step('cut', () => this.#cutBoth())
      await wait(BREATH)
    } finally {
      this.#guide.stop()
      await line
    }
  }

  async #step(step, act) {
    this.#steps.set(step, 'running')
    this.#mark(step)
    try {
      await act((state) => this.#shown(step, state))
      this.#steps.set(step, 'done')
    } catch (error) {
      this.#steps.set(step, 'failed', error.message)
      throw error
    }
  }

  async #cutBoth() {
    const both = [this.#connection, this.#guide.connection]
    await Promise.all(both.map((connection) => connection.id === '' && nextOpen(connection)))
    const back = Promise.all(both.map(nextOpen))
    await Promise.all(both.map(cut))
    await back
  }

  #shown(step, { progress }) {
    this.#steps.progress(step, progress)
    for (const { worker, successor, state } of progress) {
      const text = `worker ${worker} → ${successor}`
      const isNew = !this.#deliveries.marks.some((mark) => mark.text === text)
      if (state === 'done' && isNew) this.#mark('worker', text)
    }
  }

  /** One action, without the guide. */
  async #alone(action, act) {
    this.#steps.reset()
    this.#setRunning(true)
    const step = action === 'restart' || action === 'kill' || action === 'cut' ? action : undefined
    try {
      return await this.#measure((arrived) => {
        this.#mark(action)
        if (step !== undefined) this.#steps.set(step, 'running')
        return act(arrived, (state) => step !== undefined && this.#shown(step, state))
      })
    } finally {
      if (step !== undefined) this.#steps.set(step, 'done')
      this.#setRunning(false)
    }
  }

  /** Runs an experiment, and adds its counts to the others. */
  async #measure(run) {
    let hasBegun = false
    try {
      const outcome = await run((name, now) => {
        // Until the first mark arrives, none is missing.
        if (!hasBegun) this.#deliveries.begin(now)
        hasBegun = true
        this.#deliveries.arrived(name, now)
      })
      this.#past.made += outcome.made
      this.#past.lost += outcome.lost
      this.#past.doubled += outcome.duplicated
      return outcome
    } finally {
      this.#pulse = undefined
      this.#deliveries.end(performance.now())
      this.#mark('done')
      this.count()
    }
  }

  /** @param {Kind} kind */
  #mark(kind, text = MARKS[kind]) {
    this.#deliveries.mark(kind, text, performance.now())
    this.#strip.wake()
  }

  #finish(fault) {
    const totals = this.#ledger.totals(performance.now())
    const [lost, doubled] = [totals.lost + this.#past.lost, totals.doubled + this.#past.doubled]
    const isWell = fault === '' && lost + doubled === 0
    const output = this.#panel.querySelector('#break-result')
    output.dataset.tone = isWell ? 'good' : 'bad'
    if (isWell) output.textContent = 'Done. Every piece of the line is on the board, and once.'
    else output.textContent = fault || `Done: ${lost} lost, ${doubled} doubled.`
  }

  #setRunning(isRunning) {
    this.#isRunning = isRunning
    this.#panel.toggleAttribute('data-running', isRunning)
    this.#button.disabled = isRunning
    this.#button.textContent = isRunning ? 'Breaking it …' : this.#label
    this.#single.setBusy(isRunning)
    if (isRunning) this.#panel.querySelector('#break-result').textContent = ''
  }
}

const MARKS = {
  restart: 'restart of all workers',
  kill: 'SIGKILL of one worker',
  redis: 'SIGKILL of Redis',
  cut: 'connections cut',
  flood: 'flood',
  garbage: 'garbage',
  done: 'end'
}

/** Resolves once the connection is made again. */
function nextOpen(connection) {
  return new Promise((resolve) => connection.addEventListener('open', resolve, { once: true }))
}

function wait(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
