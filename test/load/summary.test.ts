import { test } from 'tap'
import type { Moment } from '../../lib/load/timeline.ts'
import { LATE_TOOL, resultOf, slowly } from '../support/load-result.ts'

test('everything that is known, and no secret', async (t) => {
  const usage = { before: { cpu: 1, memory: 5 }, after: { cpu: 1.5, memory: 7 } }
  const result = resultOf({ course: usage }, slowly(1, 2, 3))
  t.match(result, {
    run: 'abcd',
    url: 'ws://h/abcd',
    asked: { connections: 10, groups: 5 },
    connections: { opened: 10, atEnd: 10, ramp: 12 },
    connectTime: { count: 10 },
    latency: { count: 3 },
    server: { cpu: 0.5, memory: 7 },
    warnings: []
  })
  t.ok(result.curve.length > 0)
  t.notMatch(JSON.stringify(result), /secret|never|shown/)
  t.equal(resultOf().server, undefined)
})

test('a tool that was late reports no times', async (t) => {
  const moments = [{ p50: 1, p99: 2, max: 3 } as Moment]
  const late = { moments, sending: { took: 1000, tool: LATE_TOOL } }
  const result = resultOf({ course: late }, slowly(1))
  t.match(result.latency, { count: 1, notReported: /^not reported: this tool was itself late by 20\.0 ms/ })
  t.same([result.curve, result.timeline], [[], [{ p50: null, p99: null, max: null }]])
  t.same(result.warnings, ['the load tool used all of a core: the server may be faster than these figures say'])
  t.same(resultOf({ course: { moments } }).timeline, moments)
})

test('warnings', async (t) => {
  const course = { interrupted: true }
  const options = { connections: 12 }
  t.same(resultOf({ options }).warnings, ['2 of 12 connections never took part'])
  t.same(resultOf({ options, course }).warnings, [])
  t.match(resultOf({}, (journal) => journal.rejected('111', undefined)).warnings, [/each publisher sends 20 a second/])
})
