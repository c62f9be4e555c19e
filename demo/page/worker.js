/**
 * The number of the worker that serves a connection; 0 if one process serves all. Undefined if the connection ends
 * meanwhile.
 *
 * @param {import('./connection.js').Connection} connection
 * @returns {Promise<number | undefined>}
 */
export async function workerOf({ client }) {
  try {
    const { data } = await client.rpc('demo.worker', {})
    return data.worker
  } catch {
    return undefined
  }
}

/** Whether two connections go to two workers, or there are none. */
export async function isElsewhere(one, other) {
  const [first, second] = await Promise.all([workerOf(one), workerOf(other)])
  return first === undefined || first === 0 || first !== second
}
