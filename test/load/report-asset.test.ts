import { test } from 'tap'
import { uPlotFile } from '../../lib/load/report-asset.ts'

test('uPlot, as a page loads it', async (t) => {
  t.match(uPlotFile('uPlot.iife.min.js'), 'uPlot')
  t.match(uPlotFile('uPlot.min.css'), '.uplot')
})
