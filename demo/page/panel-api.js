const ASK_INTERVAL = 200
// Three workers are replaced in about five seconds, and in a minute on a busy machine.
const PATIENCE = 180_000

/** @typedef {{ worker: number, successor: number | null, state: string, reason: string | null }} WorkerStep */
/**
 * @typedef {object} BreakState
 * @property {number} workers
 * @property {string | null} running
 * @property {string | null} failure
 * @property {WorkerStep[]} progress
 * @property {Record<string, string | null>} refusals
 */

/**
 * The possible actions now. With an action: begins it, or rejects with the reason why it is not possible.
 *
 * @param {string} token @param {{ action: string, connection: string }} [body]
 * @returns {Promise<BreakState>}
 */
export async function askBreaker(token, body) {
  const response = await fetch('/api/break', {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
  const answer = await response.json()
  if (!response.ok) throw Object.assign(new Error(answer.message), { status: response.status })
  return answer
}

/**
 * Begins an action that takes a while, and resolves once it is done.
 *
 * @param {import('./connection.js').Connection} connection
 * @param {string} action
 * @param {(state: BreakState) => void} [shown] gets each state on the way
 */
export async function breakAndWait(connection, action, shown = () => undefined) {
  const { id } = connection
  let state = await askBreaker(connection.token, { action, connection: id }).catch(unlessLost)
  const end = performance.now() + PATIENCE
  for (;;) {
    if (state !== undefined) shown(state)
    if (state !== undefined && state.running === null) break
    if (performance.now() > end) throw new Error('It takes too long')
    await new Promise((resolve) => setTimeout(resolve, ASK_INTERVAL))
    // The process that answers may be the one that is broken.
    state = await askBreaker(connection.token).catch(unlessLost)
  }
  if (state.failure !== null) throw new Error(`It did not end well: ${state.failure}`)
  return state
}

/** Ends a connection as if a cable were pulled. */
export function cut({ token, id }) {
  return askBreaker(token, { action: 'cut', connection: id })
}

// No answer, or none from the primary process: it may have begun all the same.
function unlessLost(error) {
  if (error.status !== undefined && error.status < 500) throw error
  return undefined
}
