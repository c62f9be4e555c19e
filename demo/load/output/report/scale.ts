/** Maps figures to places between 0 (left, bottom) and 1 (right, top). */
export interface Scale {
  /** Outside of the scale's range it is the nearer end. */
  at(value: number): number
  /** Values to label, in ascending order. */
  readonly ticks: readonly number[]
}

const STEPS = [1, 2, 5]
const STEPS_OF_TIME = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400]
const MOST_TICKS = 6
const MOST_LOG_TICKS = 9

/** From 0 to a round number that is at least `most`. */
export function linearScale(most: number): Scale {
  const step = roundStep(Math.max(most, Number.MIN_VALUE) / (MOST_TICKS - 2))
  const top = most <= 0 ? 1 : Math.ceil(most / step - 1e-9) * step
  const count = most <= 0 ? 1 : Math.round(top / step)
  return scaleOf(
    (value) => value / top,
    Array.from({ length: count + 1 }, (_, at) => (at / count) * top)
  )
}

/** From one round number to another, each decade as long as the next. */
export function logScale(least: number, most: number): Scale {
  const bottom = roundDown(least)
  const top = Math.max(roundUp(most), bottom * 10)
  const length = Math.log10(top / bottom)
  const all = decadesBetween(bottom, top)
  // Powers of ten only, if three of each decade would not fit.
  const ticks = all.length > MOST_LOG_TICKS ? all.filter(isPowerOfTen) : all
  return scaleOf((value) => Math.log10(Math.max(value, bottom) / bottom) / length, ticks)
}

/** From 0 to `end` seconds. */
export function timeScale(end: number): Scale {
  const step = STEPS_OF_TIME.find((step) => end / step <= MOST_TICKS) ?? roundStep(end / MOST_TICKS)
  const count = Math.floor(end / step + 1e-9)
  return scaleOf(
    (value) => value / end,
    Array.from({ length: count + 1 }, (_, at) => at * step)
  )
}

function scaleOf(at: (value: number) => number, ticks: readonly number[]): Scale {
  return { at: (value) => Math.min(1, Math.max(0, at(value))), ticks }
}

/** The smallest of 1, 2, 5, 10… that is at least the value. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  return power * (STEPS.find((step) => step * power >= least * (1 - 1e-9)) ?? 10)
}

const roundUp = roundStep

function roundDown(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most))
  return power * (STEPS.findLast((step) => step * power <= most * (1 + 1e-9)) ?? 1)
}

function decadesBetween(bottom: number, top: number): number[] {
  const first = Math.floor(Math.log10(bottom))
  const last = Math.ceil(Math.log10(top))
  return Array.from({ length: last - first + 1 }, (_, at) => STEPS.map((step) => step * 10 ** (first + at)))
    .flat()
    .filter((value) => value >= bottom * (1 - 1e-9) && value <= top * (1 + 1e-9))
}

function isPowerOfTen(value: number): boolean {
  const exponent = Math.log10(value)
  return Math.abs(exponent - Math.round(exponent)) < 1e-9
}
