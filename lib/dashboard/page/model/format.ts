/* How figures are written: short, in one unit, three digits at most. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 })
const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })

const BYTES = ['B', 'KB', 'MB', 'GB', 'TB']
const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Stands for a missing figure. */
export const NONE = '–'

/** A whole number: `1,204`, and `12.3K` from 100,000 on. */
export function count(value: number | null): string {
  if (value === null) return NONE
  return value < 100_000 ? whole.format(value) : short.format(value)
}

/** A rate per second: `0.4`, `12`, `1.2K`. */
export function rate(value: number | null): string {
  if (value === null) return NONE
  return value < 10 ? String(Math.round(value * 10) / 10) : count(value)
}

/** `0 B`, `12.3 KB`; a KB is 1,024 bytes. */
export function bytes(value: number | null): string {
  if (value === null) return NONE
  let unit = 0
  let amount = value
  while (amount >= 1_000 && unit < BYTES.length - 1) {
    amount /= 1_024
    unit++
  }
  return `${threeDigits(amount)} ${BYTES[unit]}`
}

/** Seconds, as `0.4 ms`, `12 ms` or `1.2 s`. */
export function latency(seconds: number | null): string {
  if (seconds === null) return NONE
  return seconds < 1 ? `${threeDigits(seconds * 1_000)} ms` : `${threeDigits(seconds)} s`
}

/** Milliseconds, as `12 s`, `4 min`, `1 h 12 min` or `3 d 4 h`. */
export function duration(milliseconds: number): string {
  if (milliseconds < MINUTE) return `${Math.max(0, Math.floor(milliseconds / SECOND))} s`
  if (milliseconds < HOUR) return `${Math.floor(milliseconds / MINUTE)} min`
  if (milliseconds < DAY) {
    return `${Math.floor(milliseconds / HOUR)} h ${Math.floor((milliseconds % HOUR) / MINUTE)} min`
  }
  return `${Math.floor(milliseconds / DAY)} d ${Math.floor((milliseconds % DAY) / HOUR)} h`
}

/** Milliseconds since 1970, as `15:04:05` of the reader's day. */
export function time(milliseconds: number): string {
  return clock.format(milliseconds)
}

function threeDigits(value: number): string {
  if (value >= 100 || value === 0) return String(Math.round(value))
  return String(Number(value.toPrecision(value >= 10 ? 3 : 2)))
}
