/** The information about a message in the message itself. */
export interface Stamp {
  /** By its number in the run. */
  readonly publisher: number
  /** Counted 0, 1, 2… for each publisher. */
  readonly sequence: number
  /** When it was due, in microseconds since the run began. */
  readonly due: number
}

/** No shorter message holds a stamp of a long run. */
export const MIN_PAYLOAD = 96

const KEY = 'load'

/** Writes messages of one run, as JSON: with a text that gives them the requested length, or with the given object. */
export class StampWriter {
  readonly #run: string
  readonly #payload: number
  /** The end of every message: what follows the stamp. */
  readonly #rest: string

  constructor(run: string, payload: number, message: Readonly<Record<string, unknown>> | undefined) {
    this.#run = run
    this.#payload = message === undefined ? payload : 0
    const others = JSON.stringify(message ?? { text: '' })
    this.#rest = others === '{}' ? '}' : `,${others.slice(1)}`
  }

  write({ publisher, sequence, due }: Stamp): string {
    const stamp = `{"${KEY}":["${this.#run}",${publisher},${sequence},${due}]`
    const missing = this.#payload - stamp.length - this.#rest.length
    if (missing <= 0) return stamp + this.#rest
    // Into the text, before the last quote and brace.
    return `${stamp}${this.#rest.slice(0, -2)}${'x'.repeat(missing)}"}`
  }
}

/** The stamp of a parsed message; undefined for a message of another run or of another sender. */
export function readStamp(message: unknown, run: string): Stamp | undefined {
  const stamp = (message as { [KEY]?: unknown } | null | undefined)?.[KEY]
  if (!Array.isArray(stamp) || stamp[0] !== run) return undefined
  const [, publisher, sequence, due] = stamp as [string, number, number, number]
  return Number.isSafeInteger(publisher) && Number.isSafeInteger(sequence) && Number.isFinite(due)
    ? { publisher, sequence, due }
    : undefined
}
