import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import { pageAssets } from '../../lib/dashboard/page-assets.ts'

test('the page is four files with relative addresses, and small', async (t) => {
  const { html, style, script, icon } = await pageAssets()
  const links = [...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, link]) => link)
  t.same([...new Set(links)].sort(), ['icon.svg', 'page.css', 'page.js'])
  t.notMatch(html, /<style|<script>|\s(?:style|on\w+)="/, 'nothing inline')
  t.notMatch(style, /url\(|@import/)
  t.notMatch(script, /\beval\(|new Function/)
  t.match(script, /uPlot [\d.]+\nThe MIT License[\s\S]*Leon Sorokin[\s\S]*AS IS/, 'the notice of uPlot is kept')
  t.match(icon, /^<svg/)
  const bytes = gzipSync(html + style + script + icon, { level: 9 }).length
  t.ok(bytes < 44 * 1024, `${bytes} bytes`)
})
