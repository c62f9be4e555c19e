import type { Verdict } from '../../command/expectations.ts'
import { CREDIBILITY_RULE } from '../../measure/credibility.ts'
import type { LoadResult, Moment } from '../../result.ts'
import { type Section, sectionsOf, titleOf } from '../figures.ts'
import { formatCount, formatTime } from '../units.ts'
import { escapeHtml } from './escape.ts'
import { plotsOf } from './plots.ts'
import { STYLE } from './style.ts'

// The file fetches nothing and runs no script, so it can be kept, mailed and opened anywhere.
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

/** A run as one HTML file, with plots. */
export function reportOf(result: LoadResult, verdicts: readonly Verdict[]): string {
  const plots = plotsOf(result)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<link rel="icon" href="data:,">
<title>Load: ${escapeHtml(titleOf(result))}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${header(result, verdicts)}
${tiles(result)}
${plots.length === 0 ? '' : `<h2>Over the run</h2>\n<div class="charts">\n${plots.join('\n')}\n</div>`}
<h2>Figures</h2>
<div class="sections">
${sectionsOf(result).map(section).join('\n')}
</div>
${moments(result.timeline)}
<h2>How to read this</h2>
<p class="quiet">Latency counts from the moment a message was due to be sent, whether or not the generator or the server
was ready then, until a subscriber had it. Messages were ${formatCount(result.asked.payload)} bytes of JSON unless told
otherwise. Lost means due to a subscriber and never received. ${escapeHtml(CREDIBILITY_RULE)}</p>
</main>
</body>
</html>
`
}

function header(result: LoadResult, verdicts: readonly Verdict[]): string {
  const { url, started, run, interrupted, latency, warnings, asked } = result
  const notices = [
    ...(interrupted ? ['Ended early; these are the figures so far.'] : []),
    ...('notReported' in latency ? [`Latencies are not reported: ${latency.notReported}.`] : []),
    ...warnings.map((warning) => `${warning}.`)
  ]
  return `<header>
<h1>${escapeHtml(titleOf(result))}</h1>
<p class="quiet">${escapeHtml(url)}</p>
<p class="quiet">${escapeHtml(`${started.slice(0, 19).replace('T', ' ')} UTC, run ${run}, ${asked.tokens}`)}</p>
${verdicts.length === 0 ? '' : `<ul class="verdicts">${verdicts.map(verdictItem).join('')}</ul>`}
${notices.map((notice) => `<p class="notice">${escapeHtml(notice)}</p>`).join('\n')}
</header>`
}

function verdictItem({ condition, held, measured, reason }: Verdict): string {
  const more = held ? '' : ` (${measured === null ? `not measured: ${reason}` : `measured ${measured}`})`
  return `<li class="${held ? 'held' : 'failed'}">${escapeHtml(condition + more)}</li>`
}

function tiles({ latency, messages, connections, storm }: LoadResult): string {
  const seconds = messages.duration / 1000
  const flawless = (count: number) => (count === 0 ? 'good' : 'bad')
  const times: [string, string, string][] =
    'notReported' in latency || latency.count === 0
      ? []
      : [
          ['latency, p50', formatTime(latency.p50), ''],
          ['latency, p99', formatTime(latency.p99), '']
        ]
  const shown: [name: string, figure: string, quality: string][] = [
    ['connections', formatCount(connections.opened), ''],
    ...times,
    ['deliveries a second', seconds === 0 ? '0' : formatCount(messages.delivered / seconds), ''],
    ['lost', formatCount(messages.lost), flawless(messages.lost)],
    ['duplicated', formatCount(messages.duplicated), flawless(messages.duplicated)],
    ['out of order', formatCount(messages.outOfOrder), flawless(messages.outOfOrder)]
  ]
  if (storm?.milliseconds) shown.push(['all back after the storm', formatTime(storm.milliseconds), ''])
  const items = shown.map(
    ([name, figure, quality]) =>
      `<div><dt>${escapeHtml(name)}</dt><dd class="${quality}">${escapeHtml(figure)}</dd></div>`
  )
  return `<dl class="tiles">${items.join('')}</dl>`
}

function section({ heading, rows }: Section): string {
  const lines = rows.map(
    ([name, figure]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(figure)}</td></tr>`
  )
  return `<section class="figures"><h3>${escapeHtml(heading)}</h3><table>${lines.join('')}</table></section>`
}

/** The figures of the plots, for readers who want numbers or cannot see plots. */
function moments(timeline: readonly Moment[]): string {
  const time = (value: number | null) => (value === null ? '' : formatTime(value))
  const head = ['time', 'phase', 'connected', 'published', 'delivered', 'p50', 'p99', 'max', 'loop delay']
  const rows = timeline.map((moment) => {
    const { at, phase, connected, published, delivered, p50, p99, max, loopDelay } = moment
    const counts = [connected, published, delivered].map(formatCount)
    return [`${at.toFixed(1)} s`, phase, ...counts, time(p50), time(p99), time(max), time(loopDelay.max)]
  })
  const row = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`
  return `<details><summary>The figures behind the plots</summary>
<div class="scroll" tabindex="0" role="region" aria-label="The figures behind the plots"><table class="moments">
<thead>${row(head, 'th')}</thead><tbody>${rows.map((cells) => row(cells, 'td')).join('')}</tbody></table></div></details>`
}
