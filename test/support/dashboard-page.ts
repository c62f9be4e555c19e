import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import type { Test } from 'tap'

/* The dashboard's page in a browser, for tests. What runs in the page is given as text: its globals have other types. */

export const DESKTOP = { viewport: { width: 1280, height: 800 } }
export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }
// Machines that run other tests meanwhile are slow to paint.
const PATIENCE = 60_000
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export interface OpenOptions {
  readonly address: string
  readonly context?: BrowserContextOptions
  /** `name=value` */
  readonly cookie?: string
  /** Errors of the page, and requests to other hosts, are added here. */
  readonly faults: string[]
}

export async function openPage(t: Test, browser: Browser, options: OpenOptions): Promise<Page> {
  const { address, context: given = DESKTOP, cookie, faults } = options
  const context = await browser.newContext({ reducedMotion: 'reduce', ...given })
  t.teardown(() => context.close())
  const { origin } = new URL(address)
  if (cookie !== undefined) {
    const [name = '', value = ''] = cookie.split(/=(.*)/s)
    await context.addCookies([{ name, value, url: origin }])
  }
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE)
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`)) faults.push(`requested ${request.url()}`)
  })
  // The browser itself logs each refused request; everything else is ours, violations of the policy too.
  page.on('console', (message) => {
    if (message.type() === 'error' && !/ERR_|Failed to load/.test(message.text())) faults.push(message.text())
  })
  await page.goto(address)
  return page
}

/** Waits until this holds in the page. Playwright's own way would need `eval`, which the page's policy forbids. */
export async function until(page: Page, condition: string): Promise<void> {
  const holds = await page.evaluate<boolean>(`new Promise((resolve) => {
    const end = performance.now() + ${PATIENCE}
    const look = () => {
      const holds = Boolean(${condition})
      if (holds || performance.now() > end) resolve(holds)
      else setTimeout(look, 50)
    }
    look()
  })`)
  if (!holds) throw new Error(`not within ${PATIENCE} ms: ${condition}`)
}

/** Waits until this holds of the `value` that an attribute has in JSON. */
export function figure(page: Page, place: string, attribute: string, holds: string): Promise<void> {
  return until(
    page,
    `((value) => value !== null && ${holds})(JSON.parse(document.querySelector('${place}').dataset.${attribute} ?? 'null'))`
  )
}

/** What axe finds wrong with the page, as it is. */
export function violations(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`${axe};
    axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))`)
}

/** How many pixels of the page are beside the window, and the texts that are cut off. */
export async function cutOff(page: Page): Promise<{ overflow: number; clipped: string[] }> {
  return page.evaluate(`{
    const { scrollWidth, clientWidth } = document.documentElement
    const cells = [...document.querySelectorAll('.card p, .card h3, .card li, .card th, .card td, .chart-total, .tag')]
    const isClipped = (it) => it.offsetParent !== null && !it.closest('.sr-only') && !it.matches('.sr-only') &&
      it.scrollWidth > it.clientWidth + 1 && getComputedStyle(it).display !== 'inline'
    ;({ overflow: scrollWidth - clientWidth, clipped: cells.filter(isClipped).map(({ textContent }) => textContent) })
  }`)
}
