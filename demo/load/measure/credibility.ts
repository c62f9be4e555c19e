// Below this, the generator adds no more than any client would.
const LEAST = 10
// A quarter of the measured time.
const SHARE = 4

/** The rule in words, for the report and the docs. */
export const CREDIBILITY_RULE =
  'Times are reported only where the event loop of the load tool itself was late by no more than ' +
  `${LEAST} ms or a quarter of what was measured, at the median and at the p99.`

/** The lateness of a process's event loop, or the measured time; in milliseconds. */
interface Percentiles {
  readonly p50: number
  readonly p99: number
}

/** Why this process's own lateness makes its times unreliable; undefined if they are reliable. */
export function whyNotCredible(loopDelay: Percentiles, measured: Percentiles): string | undefined {
  for (const name of ['p50', 'p99'] as const) {
    if (loopDelay[name] <= LEAST || loopDelay[name] <= measured[name] / SHARE) continue
    return (
      `the generator itself was late by ${loopDelay[name].toFixed(1)} ms (${name} of its event loop), ` +
      `which is more than a quarter of the ${measured[name].toFixed(1)} ms that it measured`
    )
  }
  return undefined
}
