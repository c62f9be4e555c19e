import { test } from 'tap'
import { judge, parseExpectation } from '../../lib/load/figures.ts'
import { reportOf } from '../../lib/load/report.ts'
import { resultOf } from '../support/load-result.ts'

// test/stories/load.test.ts opens a report in a browser.
test('a report has the data in it, and nothing in the data ends the script', async (t) => {
  const result = { ...resultOf(), url: '</script><b>$&' }
  const html = reportOf(result, [judge(parseExpectation('lost=0'), result)])
  t.match(html, /uPlot/)
  t.notMatch(html, /LOAD_DATA|\/\*UPLOT/)
  t.notMatch(html, '</script><b>')
  const data = JSON.parse(/^const \{.*\} = (.*)$/m.exec(html)?.[1] ?? '')
  t.equal(data.result.url, result.url)
  t.match(data, { title: /^10 connections/, verdicts: [{ held: true }], rows: Array })
})
