import type { Browser, BrowserContextOptions, Page } from 'playwright-core'

// Machines that run other tests meanwhile are slow to paint.
const PATIENCE = 30_000

export const DESKTOP = { viewport: { width: 1280, height: 800 } }
export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 3, isMobile: true, hasTouch: true }

// What runs in the page is given as text: the types of a browser's globals are not those of these tests.

// The pill says some things for a moment only.
const RECORD_PILL = `
  window.pill = []
  addEventListener('DOMContentLoaded', () => {
    const record = () => window.pill.push(document.getElementById('status').textContent)
    new MutationObserver(record).observe(document.getElementById('status'), { childList: true })
  })
`

/** Opens boards in a browser, each page in a context of its own: another person's. */
export class Visitors {
  /** What went wrong in any page, but for connections that failed. */
  readonly faults: string[] = []
  readonly #browser: Browser

  constructor(browser: Browser) {
    this.#browser = browser
  }

  /** Opens a board, and waits until it is there. The context ends with the test. */
  async open(
    t: { teardown(fn: () => unknown): void },
    url: string,
    { user, ...options }: BrowserContextOptions & { user?: string } = {}
  ): Promise<Whiteboard> {
    const context = await this.#browser.newContext({ ...DESKTOP, reducedMotion: 'reduce', ...options })
    t.teardown(() => context.close())
    if (user !== undefined) {
      const once = `if (localStorage.user === undefined) localStorage.user = ${JSON.stringify(user)}`
      await context.addInitScript(once)
    }
    await context.addInitScript(RECORD_PILL)
    const page = await context.newPage()
    page.setDefaultTimeout(PATIENCE)
    page.on('pageerror', (error) => this.faults.push(String(error)))
    // The browser itself logs each refused connection, and what is sent as one ends; everything else is ours, violations of the policy too.
    page.on('console', (message) => {
      if (message.type() === 'error' && !/ERR_|WebSocket (connection|is already)|Failed to load/.test(message.text())) {
        this.faults.push(message.text())
      }
    })
    await page.goto(url)
    const whiteboard = new Whiteboard(page)
    await whiteboard.event('Opened')
    return whiteboard
  }
}

/** A page with a board. */
export class Whiteboard {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  /** Waits for the pill to say so. */
  async status(name: string): Promise<void> {
    await this.page.locator(`#status[data-status="${name}"]`).waitFor()
  }

  /** Takes note of what the pill says from now on; `said` resolves once it says or has said something of this kind. */
  async watchPill(): Promise<{ said(text: RegExp): Promise<void> }> {
    const start = await this.page.evaluate<number>('window.pill.length')
    return {
      said: async (text) => {
        await this.until(`() => window.pill.slice(${start}).some((text) => ${text}.test(text))`)
      }
    }
  }

  get pill(): Promise<string | null> {
    return this.page.locator('#status').textContent()
  }

  /** Waits for an entry in the journal. */
  async event(text: string | RegExp): Promise<void> {
    await this.page.locator('#events li', { hasText: text }).first().waitFor({ state: 'attached' })
  }

  /** Draws a line across the board at this height (0 to 1). */
  async draw(at: number): Promise<void> {
    const { x, y, width, height } = await this.box()
    const { mouse } = this.page
    await mouse.move(x + width * 0.1, y + height * at)
    await mouse.down()
    await mouse.move(x + width * 0.9, y + height * at, { steps: 12 })
    await mouse.up()
  }

  /** Where the sheet is that the board begins with. */
  async box(): Promise<{ x: number; y: number; width: number; height: number }> {
    const box = await this.page.locator('#home').boundingBox()
    if (box === null) throw new Error('there is no board')
    return box
  }

  /** Waits until the sheet has ink (or none) in its middle, at this height. */
  async ink(at: number, expected = true): Promise<void> {
    await this.until(`() => {
      const canvas = document.getElementById('ink')
      const { left, top, width, height } = document.getElementById('home').getBoundingClientRect()
      const ratio = canvas.width / canvas.clientWidth
      const [x, y] = [left + width / 2, top + height * ${at}].map((place) => Math.round(place * ratio))
      const [, , , alpha] = canvas.getContext('2d').getImageData(x, y, 1, 1).data
      return alpha > 128 === ${expected}
    }`)
  }

  /** Waits until this function holds in the page. (Playwright's own way is shut by the page's policy.) */
  async until(holds: string, patience = PATIENCE): Promise<void> {
    const found = await this.page.evaluate<boolean>(`new Promise((resolve) => {
      const holds = ${holds}
      const end = performance.now() + ${patience}
      const look = () => {
        const found = holds()
        if (found || performance.now() > end) resolve(found)
        else requestAnimationFrame(look)
      }
      look()
    })`)
    if (!found) throw new Error(`never: ${holds}`)
  }

  /** How many strokes are shown: one for each drag. */
  async strokes(): Promise<number> {
    return Number(await this.page.locator('#sheet').getAttribute('data-strokes'))
  }

  async untilStrokes(count: number): Promise<void> {
    await this.page.locator(`#sheet[data-strokes="${count}"]`).waitFor()
  }

  /** How many of one's own are not confirmed. */
  async unsent(): Promise<number> {
    return Number(await this.page.locator('#unsent').textContent())
  }

  async untilUnsent(count: number): Promise<void> {
    await this.page.locator('#unsent', { hasText: new RegExp(`^${count}$`) }).waitFor({ state: 'attached' })
  }

  /** Whether somebody is shown among those who are here. */
  async person(user: string, isHere = true): Promise<void> {
    await this.page.locator(`#people [data-user="${user}"]`).waitFor({ state: isHere ? 'visible' : 'detached' })
  }
}
