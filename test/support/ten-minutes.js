/*
 * Loaded before a process that reports to its parent where it listens. Before the report, its clocks and timers run so
 * fast that ten minutes pass. Then they run as always, and its clocks are ten minutes ahead.
 */
import { performance } from 'node:perf_hooks'

const FACTOR = 200
const REAL_TIME = 4_000

const [dateNow, now, setTimer, send] = [
  Date.now,
  performance.now.bind(performance),
  globalThis.setTimeout,
  process.send?.bind(process)
]
let begun = Number.POSITIVE_INFINITY
const elapsed = () => Math.max(0, Math.min(now() - begun, REAL_TIME))

Date.now = () => Math.floor(dateNow() + elapsed() * (FACTOR - 1))
performance.now = () => now() + elapsed() * (FACTOR - 1)
globalThis.setTimeout = (act, delay, ...values) => {
  const isFast = begun < Number.POSITIVE_INFINITY && elapsed() < REAL_TIME
  return setTimer(act, isFast ? delay / FACTOR : delay, ...values)
}
process.send = (...message) => {
  process.send = send
  begun = now()
  setTimer(() => send?.(...message), REAL_TIME)
  return true
}
