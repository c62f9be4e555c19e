import { Redis } from 'ioredis'
import type { Test } from 'tap'
import type { HistoryPage } from '../../../lib/broker/broker.ts'
import { RedisBroker, type RedisBrokerOptions } from '../../../lib/broker/redis/redis-broker.ts'
import { Recorder } from '../recorder.ts'

/** Times short enough for tests of outages; no audits by the clock, which a slow machine would meet in any test. */
export const QUICK = {
  auditPeriod: [3_600_000, 3_600_000],
  commandTimeout: 1000,
  connectTimeout: 1000,
  reconnectDelay: [5, 50],
  probeInterval: 60_000
} as const

let prefixes = 0

/** No two tests share a key. */
export function freshPrefix(): string {
  return `test${process.pid}-${prefixes++}`
}

/** A Redis broker with short times, and what it tells. It is closed with the test. */
export function makeRedisBroker(t: Test, options: RedisBrokerOptions) {
  const broker = new RedisBroker({ prefix: freshPrefix(), ...options, times: { ...QUICK, ...options.times } }, Redis)
  const heard = new Recorder()
  t.teardown(() => broker.close())
  return { broker, heard }
}

export async function openRedisBroker(t: Test, options: RedisBrokerOptions) {
  const bench = makeRedisBroker(t, options)
  await bench.broker.start(bench.heard)
  return bench
}

export function dataOf({ publications }: HistoryPage): string[] {
  return publications.map(({ data }) => data.toString())
}

export const bytes = (text: string | number) => Buffer.from(`${text}`)
