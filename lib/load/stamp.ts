/** What a message says about itself. */
export interface Stamp {
  readonly publisher: number
  readonly sequence: number
  /** When it was due, in microseconds since the run began. */
  readonly due: number
}

/** No shorter message holds a stamp of a long run. */
export const MIN_PAYLOAD = 96

/**
 * Makes the function that writes the messages of a run, as JSON: with a text that gives them `payload` bytes, or with
 * the members of `message`.
 */
export function stampWriter(run: string, payload: number, message?: object): (stamp: Stamp) => string {
  const others = JSON.stringify(message ?? { text: '' })
  const rest = others === '{}' ? '}' : `,${others.slice(1)}`
  return ({ publisher, sequence, due }) => {
    const head = `{"load":["${run}",${publisher},${sequence},${due}]`
    const missing = message === undefined ? payload - head.length - rest.length : 0
    // The text goes before the last quote and brace.
    return missing <= 0 ? head + rest : `${head}${rest.slice(0, -2)}${'x'.repeat(missing)}"}`
  }
}

/** The stamp of a parsed message. Undefined if the message is of another run or another sender. */
export function readStamp(message: unknown, run: string): Stamp | undefined {
  const stamp = (message as { load?: unknown } | null | undefined)?.load
  if (!Array.isArray(stamp) || stamp[0] !== run) return undefined
  const [, publisher, sequence, due] = stamp as [string, number, number, number]
  const isWhole = Number.isSafeInteger(publisher) && Number.isSafeInteger(sequence) && Number.isFinite(due)
  return isWhole ? { publisher, sequence, due } : undefined
}
