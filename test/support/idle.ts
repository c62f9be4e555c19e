/**
 * Resolves once nothing in this process is about to happen: no promise left to settle, no `nextTick`, no `setImmediate`.
 * What remains waits for a timer, the network or the test. A count of turns would have to know how long the chain of
 * promises is; this doesn't.
 */
export function idle(): Promise<void> {
  return new Promise((resolve) => {
    // Node runs promises and ticks to their end before each of these: what is left then are other immediates.
    const look = () => {
      if (immediates() === 0) resolve()
      else setImmediate(look)
    }
    setImmediate(look)
  })
}

function immediates(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Immediate').length
}
