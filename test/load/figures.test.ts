import { test } from 'tap'
import { FIGURES, formatTime, judge, parseExpectation, rowsOf, tableOf, titleOf } from '../../lib/load/figures.ts'
import type { LoadOptions } from '../../lib/load/target.ts'
import { LATE_TOOL, resultOf, slowly } from '../support/load-result.ts'

const target = (fields: Partial<LoadOptions['target']>) =>
  ({
    ...{ protocol: 'rooms', transport: 'websocket', origin: 'ws://h', path: '/', groups: 1, channelName: '' },
    ...fields
  }) as LoadOptions['target']

test('the run in a sentence', async (t) => {
  t.equal(titleOf(resultOf()), '10 connections over 5 channels, 100 messages a second')
  const room = { target: target({}), connections: 1, rate: 1 }
  t.equal(titleOf(resultOf({ options: room })), '1 connection over 1 room, 1 message a second')
  const echo = { target: target({ protocol: 'echo' }) }
  t.equal(titleOf(resultOf({ options: echo })), '10 connections to an echo route, 100 messages a second')
  const sse = { target: target({ protocol: 'channels', transport: 'sse' }) }
  t.match(titleOf(resultOf({ options: sse })), / over 1 channel \(sse\), /)
})

test('every figure, as people read it', async (t) => {
  const read = (result: ReturnType<typeof resultOf>) =>
    Object.fromEntries(rowsOf(result).map(([, name, text]) => [name, text]))
  const quiet = read(resultOf({}, slowly(0.5, 20, 2500)))
  t.match(quiet, {
    connected: '10 of 10 in 12.0 ms',
    refused: '0',
    published: '0 (0 a second) by 5 publishers',
    p50: '20.0 ms',
    max: /^2\.50 s$/,
    'server-cpu': 'not known: the server has no /metrics that say so',
    'server-memory': /^not known/,
    'tool-cpu': '25 % of a core',
    'tool-memory': '1 MiB'
  })
  t.notOk('storm' in quiet)
  t.equal(formatTime(12_345), '12.3 s')

  const usage = { before: { cpu: 1, memory: 5 }, after: { cpu: 1.5, memory: 7 * 2 ** 20 } }
  const stormy = read(
    resultOf({ course: { ...usage, sending: { took: 0, tool: LATE_TOOL } } }, (journal) => {
      slowly(1)(journal)
      journal.stormBegins(new Set([journal]))
      journal.ended({ code: 1006 })
      journal.ended({ code: 1012 })
    })
  )
  t.match(stormy, {
    closes: '2 (1006: 1, 1012: 1)',
    published: '0 by 5 publishers',
    p50: /^not reported/,
    storm: 'not all came back',
    'server-memory': '7 MiB'
  })
  t.equal(read(resultOf()).p99, 'nothing was measured')
  t.equal(read(resultOf({}, (journal) => journal.returned({}))).storm, 'there was no storm')
  const back = resultOf({}, (journal) => {
    journal.stormBegins(new Set([journal]))
    journal.returned(journal)
  })
  t.match(read(back).storm, /ms$/)
  t.same(
    FIGURES.filter(([, , , , figure]) => !['number', 'string'].includes(typeof figure(back))),
    []
  )
})

test('conditions', async (t) => {
  const result = resultOf({}, slowly(10))
  const words = (condition: string) => judge(parseExpectation(condition), result).words
  const held = ['lost=0', 'lost != 1', 'connected<11', 'connected<=10', 'connected>9', 'connected>=10', 'p99.9<10.5']
  for (const condition of held) t.equal(words(condition), `held: ${condition}`)
  t.equal(words('connected=9'), 'failed: connected=9, measured 10')
  t.equal(words('storm<5'), 'failed: storm<5, not measured: there was no storm')
  t.same(judge(parseExpectation('storm<5'), result).measured, null)
  for (const wrong of ['lost', 'nothing=1', 'lost==', 'lost=-1']) {
    t.throws(() => parseExpectation(wrong), { message: /^Write a figure, one of = != < <= > >=, and a number/ })
  }
})

test('the table', async (t) => {
  const text = tableOf(resultOf(), [])
  t.match(text, /^10 connections over .*\nws:\/\/h\/abcd\n\nConnections\n {2}connected {7}10 of 10 in/)
  t.notMatch(text, /Note|Expectations/)
  const result = resultOf({ options: { connections: 12 } })
  const interrupted = resultOf({ course: { interrupted: true } })
  t.match(tableOf(interrupted, []), '\nended early; these are the figures so far\n')
  t.match(
    tableOf(result, [judge(parseExpectation('lost=0'), result)]),
    /\nNote\n {2}2 of 12 .*\n\nExpectations\n {2}held: lost=0\n$/
  )
})
