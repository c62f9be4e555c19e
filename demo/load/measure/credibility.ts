// Below this, what the generator adds is what any client would.
const LEAST = 10
// A quarter of what is measured.
const SHARE = 4

/** The rule in words, for the report and the docs. */
export const CREDIBILITY_RULE =
  'Times are reported only where the event loop of the load tool itself was late by no more than ' +
  `${LEAST} ms or a quarter of what was measured, at the median and at the p99.`

/** Of a process's event loop, or of what was measured; in milliseconds. */
interface Percentiles {
  readonly p50: number
  readonly p99: number
}

/** Why times that this process measured can't be told from its own lateness; undefined where they can. */
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
