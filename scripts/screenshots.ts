// `npm run screenshots` takes every picture of docs/screenshots, so that they show the demo as it is now. It starts the
// demo with three workers, takes five minutes, and needs redis-server and Chromium, as the tests do.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { launchBrowser } from '../test/support/browser.ts'
import { DemoProcess } from '../test/support/demo.ts'
import { pageModule } from '../test/support/page-module.ts'
import { Visitors, type Whiteboard } from '../test/support/whiteboard.ts'
import { dashboardPicture } from './dashboard-picture.ts'
import { loadPicture } from './load-picture.ts'
import { gull, type PictureLine, picture } from './picture.ts'
import { root } from './run.ts'

const FOLDER = join(root, 'docs/screenshots')
const DESKTOP = { viewport: { width: 1280, height: 800 } }
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }

const { guidePicture } = await pageModule('guide-picture.js')

const SECRET = 'only for taking screenshots of it'

interface Stage {
  readonly browser: Browser
  readonly demo: DemoProcess
  readonly visitors: Visitors
  /** Three people on one board, on which their picture is. */
  readonly people: readonly [Whiteboard, Whiteboard, Whiteboard]
  readonly disposal: { teardown(fn: () => unknown): void }
}

/** What is taken, in this order; each answers the page as it is to be seen. */
const SHOTS: Readonly<Record<string, (stage: Stage) => Promise<Page>>> = {
  async 'whiteboard-desktop'({ people: [ada, grace, lin] }) {
    await point(grace, 0.66, 0.33)
    await point(lin, 0.34, 0.81)
    await ada.page.locator('#names [data-shown]').nth(1).waitFor()
    return ada.page
  },

  async 'whiteboard-dark'({ people: [ada, grace] }) {
    await point(ada, 0.58, 0.66)
    await grace.page.locator('#names [data-user="Ada"]').waitFor()
    return grace.page
  },

  async 'whiteboard-phone'({ people: [ada, grace], demo, visitors, disposal }) {
    const phone = await visitors.open(disposal, `${demo.address}/#lake`, { user: 'Kim', ...PHONE })
    await Promise.all([ada.person('Kim'), phone.untilStrokes(await ada.strokes())])
    await point(ada, 0.58, 0.66)
    await point(grace, 0.3, 0.3)
    await phone.page.locator('#names [data-shown]').nth(1).waitFor()
    return phone.page
  },

  async 'whiteboard-restart'({ people: [ada, grace] }) {
    const pill = await ada.watchPill()
    await ada.page.locator('#break-all').click()
    await pill.said(/^Recovered, /)
    await drawLine(grace, gull(1, 0.63, 0.12, 0.034))
    await ada.page.locator('#break-result', { hasText: 'Done.' }).waitFor({ timeout: 120_000 })
    return ada.page
  },

  'first-seconds-desktop': (stage) => firstSeconds(stage, 'first', DESKTOP),
  'first-seconds-phone': (stage) => firstSeconds(stage, 'second', PHONE)
}

/** What a visitor sees who does nothing, once the guide has drawn its picture. */
async function firstSeconds({ demo, visitors, disposal }: Stage, board: string, options: object): Promise<Page> {
  const url = `${demo.address}/#${board}&key=${await demo.adminKey()}`
  const { page } = await visitors.open(disposal, url, { ...options, user: 'You', reducedMotion: 'no-preference' })
  await page.locator(`#sheet[data-strokes="${guidePicture().length}"]`).waitFor()
  return page
}

async function main(): Promise<void> {
  const cleanups: (() => unknown)[] = []
  const disposal = { teardown: (fn: () => unknown) => void cleanups.push(fn) }
  try {
    const stage = await open(disposal)
    mkdirSync(FOLDER, { recursive: true })
    for (const [name, take] of Object.entries(SHOTS)) {
      const page = await take(stage)
      await page.screenshot({ path: join(FOLDER, `${name}.png`) })
      console.log(`docs/screenshots/${name}.png`)
    }
    const { browser, demo } = stage
    for (const name of await dashboardPicture({ teardown: (fn) => cleanups.push(fn) }, browser, FOLDER)) {
      console.log(`docs/screenshots/${name}`)
    }
    await loadPicture(browser, demo.address, SECRET, FOLDER)
    console.log('docs/screenshots/load-report.png')
    await demo.end()
  } finally {
    for (const clean of cleanups.reverse()) await clean()
  }
}

async function open(disposal: Stage['disposal']): Promise<Stage> {
  const env = { JWT_SECRET: SECRET, DRAIN_WINDOW: '500', DRAIN_TIMEOUT: '5000' }
  const demo = await DemoProcess.start(disposal, env, undefined, ['--workers', '3'])
  await demo.message('all workers listen')
  const browser = await launchBrowser()
  disposal.teardown(() => browser.close())
  const visitors = new Visitors(browser)
  const key = await demo.adminKey()
  const enter = (user: string, colorScheme: 'light' | 'dark') => {
    return visitors.open(disposal, `${demo.address}/#lake&key=${key}`, { user, colorScheme, ...DESKTOP })
  }
  const people = [await enter('Ada', 'light'), await enter('Grace', 'dark'), await enter('Lin', 'light')] as const
  await Promise.all(
    people.map(async (person, at) => {
      for (const line of picture().filter(({ by }) => by === at)) await drawLine(person, line)
      await person.untilUnsent(0)
    })
  )
  return { browser, demo, visitors, people, disposal }
}

async function drawLine(person: Whiteboard, { colour, width, points }: PictureLine): Promise<void> {
  await person.page.getByLabel(colour, { exact: true }).check()
  await person.page.getByLabel(width, { exact: true }).check()
  const [first, ...others] = points
  if (first === undefined) return
  await point(person, ...first)
  await person.page.mouse.down()
  for (const at of others) await point(person, ...at)
  await person.page.mouse.up()
}

async function point(person: Whiteboard, across: number, down: number): Promise<void> {
  const { x, y, width, height } = await person.box()
  await person.page.mouse.move(x + across * width, y + down * height)
}

await main()
