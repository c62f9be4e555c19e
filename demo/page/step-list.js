/*
 * The steps of "Break it", and under a step its workers, each with its state.
 */

const TEXTS = {
  waiting: ({ worker }) => `worker ${worker}`,
  starting: ({ worker, successor }) =>
    successor === null ? `worker ${worker} …` : `worker ${worker}: ${successor} starts`,
  draining: ({ worker, successor }) => `worker ${worker} drains, ${successor} serves`,
  killed: ({ worker }) => `worker ${worker}: SIGKILL`,
  done: ({ worker, successor }) => (successor === null ? `worker ${worker} ended` : `worker ${worker} → ${successor}`),
  failed: ({ worker, successor }) => `worker ${successor ?? worker} failed`
}

/** What one worker's step says. @param {import('./panel-api.js').WorkerStep} step */
export function textOf(step) {
  return TEXTS[step.state](step)
}

export class StepList {
  #list

  /** @param {HTMLElement} list with a `data-step` for each step */
  constructor(list) {
    this.#list = list
  }

  /** Nothing is done yet. */
  reset() {
    for (const item of this.#list.children) {
      delete item.dataset.state
      item.querySelector('.workers').replaceChildren()
      item.querySelector('.why').textContent = ''
    }
  }

  /** @param {string} step @param {'running' | 'done' | 'failed' | 'skipped'} state */
  set(step, state, why = '') {
    const item = this.#item(step)
    item.dataset.state = state
    item.querySelector('.why').textContent = why
  }

  /** @param {string} step @param {import('./panel-api.js').WorkerStep[]} progress */
  progress(step, progress) {
    const item = this.#item(step)
    const chips = item.querySelector('.workers')
    while (chips.childElementCount > progress.length) chips.lastElementChild.remove()
    for (const [at, worker] of progress.entries()) {
      const chip = chips.children[at] ?? chips.appendChild(document.createElement('li'))
      chip.dataset.state = worker.state
      const text = textOf(worker)
      if (chip.textContent !== text) chip.textContent = text
    }
    const reason = progress.map((worker) => worker.reason).find((text) => text !== null)
    if (reason !== undefined) item.querySelector('.why').textContent = reason
  }

  #item(step) {
    return this.#list.querySelector(`[data-step="${step}"]`)
  }
}
