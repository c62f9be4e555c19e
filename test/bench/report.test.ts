import { test } from 'tap'
import { median, summarize, verdict } from './report.ts'
import type { Measured, Row } from './row.ts'
import { goalTable, rowTable } from './tables.ts'

/* How the benchmark's figures become a report. */

const row: Row = {
  name: 'a-row',
  title: 'A row',
  unit: 'messages',
  better: 'more',
  contenders: [],
  control: 'theirs',
  goals: [
    { work: 'ours / theirs', figure: 'ours', against: 'theirs', must: 2, aim: 3 },
    { work: 'ours', figure: 'ours', must: 100, aim: 1_000 }
  ]
}

function runs(...values: readonly number[]): Measured[] {
  return values.map((value) => ({ value, generator: 0.5, server: 0.9, contention: 0.01 }))
}

test('a ratio is taken in each round, and its median counts', async (t) => {
  const measured = new Map([
    // The machine was at half its speed in the last round.
    ['ours', runs(400, 100, 200)],
    ['theirs', runs(100, 50, 80)]
  ])
  const { figures, goals, runs: count } = summarize(row, measured, '2026-01-02')
  t.equal(count, 3)
  t.same(
    figures.map(({ name, median, ratio }) => ({ name, median, ratio })),
    [
      { name: 'ours', median: 200, ratio: { median: 2.5, least: 2, most: 4 } },
      { name: 'theirs', median: 80, ratio: { median: 1, least: 1, most: 1 } }
    ]
  )
  t.same(
    goals.map(({ reached }) => reached),
    [
      { median: 2.5, least: 2, most: 4 },
      { median: 200, least: 100, most: 400 }
    ]
  )
})

test('a verdict knows whether more or less is better', async (t) => {
  const goal = (better: Row['better'], value: number) =>
    verdict({
      work: '',
      must: better === 'more' ? 2 : 3,
      aim: better === 'more' ? 3 : 2,
      better,
      reached: spread(value)
    })
  t.same(
    [1.9, 2, 2.9, 3].map((value) => goal('more', value)),
    ['missed', 'must', 'must', 'aim']
  )
  t.same(
    [3.1, 3, 2.1, 2].map((value) => goal('less', value)),
    ['missed', 'must', 'must', 'aim']
  )
})

const spread = (value: number) => ({ median: value, least: value, most: value })

test('the median of an even number is between the two in the middle', async (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
})

test('a table leaves out columns without values and remarks on what was disturbed', async (t) => {
  const result = summarize(
    { ...row, control: undefined, goals: [] },
    new Map([
      ['ours', [{ value: 1_234_567.8, contention: 0.5 }]],
      ['theirs', [{ value: 1.005, generator: 0.99, contention: 0 }]]
    ]),
    '2026-01-02'
  )
  t.equal(
    rowTable(result),
    [
      '**A row**',
      '',
      '|        |  messages |            spread of 1 | generator |',
      '| ------ | --------: | ---------------------: | --------: |',
      '| ours   | 1,234,568 | 1,234,568 to 1,234,568 |           |',
      '| theirs |         1 |                 1 to 1 |      99 % |',
      '',
      'The load generator was at its limit: theirs.',
      '',
      'Another process had the CPU for a part of the time: ours.'
    ].join('\n')
  )
})

test('the goals stand side by side with what was reached', async (t) => {
  const { goals } = summarize(
    row,
    new Map([
      ['ours', runs(90)],
      ['theirs', runs(30)]
    ]),
    '2026-01-02'
  )
  t.equal(
    goalTable(goals.map((goal) => ({ ...goal, date: '2026-01-02' }))),
    [
      '| work          | must |   aim | reached |   spread | verdict |   measured |',
      '| ------------- | ---: | ----: | ------: | -------: | ------: | ---------: |',
      '| ours / theirs |    2 |     3 |       3 |   3 to 3 |     aim | 2026-01-02 |',
      '| ours          |  100 | 1,000 |      90 | 90 to 90 |  missed | 2026-01-02 |'
    ].join('\n')
  )
})
