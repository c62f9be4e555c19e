/** The report's style: that of the whiteboard, by day and by night. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #eef0f3;
  --panel: #ffffff;
  --line: #dcdfe5;
  --text: #1c2129;
  --quiet: #5b6472;
  --band: #2f5fd012;
  --good: #1a7f4b;
  --bad: #c02b2b;
  --blue: #2f66dd;
  --amber: #c47700;
  --red: #d5383a;
  --green: #1f9254;
  --violet: #8344cf;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12151a;
    --panel: #1c2128;
    --line: #313843;
    --text: #e6e9ee;
    --quiet: #9aa4b2;
    --band: #7ea6ff14;
    --good: #52c98a;
    --bad: #ff7d78;
    --blue: #6fa1ff;
    --amber: #ffb547;
    --red: #ff6b6b;
    --green: #52cf8b;
    --violet: #b98bff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0;
  padding: 28px 20px 48px;
  background: var(--ground);
  color: var(--text);
  font: 15px / 1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  -webkit-text-size-adjust: 100%;
}
main { max-width: 1120px; margin: 0 auto; }
h1 { margin: 0 0 8px; font-size: 24px; line-height: 1.25; letter-spacing: -0.01em; text-wrap: balance; }
h2 { margin: 36px 0 12px; font-size: 17px; }
h3 { margin: 0; font-size: 14px; font-weight: 600; }
p { margin: 4px 0 0; }
.quiet { color: var(--quiet); }
.quiet, td, th { overflow-wrap: anywhere; }
.notice { margin-top: 16px; padding: 12px 16px; border: 1px solid var(--line); border-left: 4px solid var(--amber); border-radius: 8px; background: var(--panel); }
.verdicts { display: flex; flex-wrap: wrap; gap: 8px; margin: 16px 0 0; padding: 0; list-style: none; }
.verdicts li { padding: 4px 12px; border: 1px solid var(--line); border-radius: 999px; background: var(--panel); font-size: 14px; }
.verdicts .held::before { content: "✓ "; color: var(--good); font-weight: 700; }
.verdicts .failed { border-color: var(--bad); }
.verdicts .failed::before { content: "✗ "; color: var(--bad); font-weight: 700; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(126px, 1fr)); gap: 12px; margin: 20px 0 0; }
.tiles > div, .chart, .figures { border: 1px solid var(--line); border-radius: 10px; background: var(--panel); }
.tiles > div { display: flex; flex-direction: column; padding: 10px 14px; }
.tiles dt { color: var(--quiet); font-size: 13px; }
.tiles dd { margin: auto 0 0; padding-top: 2px; font-size: 22px; font-weight: 600; line-height: 1.2; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; }
.tiles .bad { color: var(--bad); }
.tiles .good { color: var(--good); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 12px; }
.chart.wide { grid-column: 1 / -1; }
.chart { margin: 0; padding: 14px 16px 10px; min-width: 0; }
.chart figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 4px 16px; min-height: 22px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 0; padding: 0; list-style: none; color: var(--quiet); font-size: 12.5px; line-height: 1.6; }
.key::before { content: ""; display: inline-block; width: 10px; height: 10px; margin-right: 6px; border-radius: 3px; background: var(--key); vertical-align: -0.5px; }
.key.band::before { background: var(--band); box-shadow: inset 0 0 0 1px var(--line); }
.key.moment::before { width: 0; height: 11px; margin: 0 8px 0 4px; border-left: 2px dashed var(--quiet); border-radius: 0; background: none; }
.plot { display: grid; grid-template: 200px 24px / 58px minmax(0, 1fr); margin-top: 12px; }
.plot svg { display: block; width: 100%; height: 100%; border-bottom: 1px solid var(--line); overflow: visible; }
.y-axis, .x-axis { position: relative; color: var(--quiet); font-size: 12px; font-variant-numeric: tabular-nums; white-space: nowrap; }
.y-axis span { position: absolute; right: 8px; transform: translateY(50%); }
.x-axis { grid-column: 2; }
.x-axis span { position: absolute; top: 5px; transform: translateX(-50%); }
.x-axis .last { transform: translateX(-100%); }
.blue { --key: var(--blue); } .amber { --key: var(--amber); } .red { --key: var(--red); } .green { --key: var(--green); } .violet { --key: var(--violet); }
.line, .limit, .grid, .cross, .moment { fill: none; vector-effect: non-scaling-stroke; }
.line { stroke: var(--key); stroke-width: 1.75; stroke-linejoin: round; stroke-linecap: round; }
.limit { stroke: var(--key); stroke-width: 1.5; stroke-dasharray: 4 3; }
.grid { stroke: var(--line); stroke-width: 1; }
.moment { stroke: var(--quiet); stroke-width: 1.5; stroke-dasharray: 4 4; }
.band { fill: var(--band); }
.bar { fill: var(--blue); stroke: var(--panel); stroke-width: 1; vector-effect: non-scaling-stroke; }
.hit { fill: transparent; }
.cross { stroke: var(--quiet); stroke-width: 1; opacity: 0; }
.slot:hover .cross { opacity: 0.7; }
.slot:hover .bar { fill: var(--violet); }
.sections { columns: 2 420px; column-gap: 12px; }
.figures { margin: 0 0 12px; padding: 14px 16px 8px; break-inside: avoid; }
table { width: 100%; border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
.figures table { margin-top: 6px; }
th, td { padding: 6px 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
.figures tr:first-child > * { border-top: 0; }
.figures th { width: 42%; padding-right: 16px; color: var(--quiet); font-weight: 400; }
.scroll { overflow-x: auto; margin-top: 10px; }
.moments th, .moments td { padding: 4px 10px 4px 0; text-align: right; white-space: nowrap; }
.moments th { color: var(--quiet); font-weight: 400; }
.moments :is(th, td):first-child, .moments :is(th, td):nth-child(2) { text-align: left; }
details { margin-top: 12px; }
summary { cursor: pointer; color: var(--quiet); }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; border-radius: 4px; }
@media print { body { background: none; } .chart, .figures { break-inside: avoid; } }
`
