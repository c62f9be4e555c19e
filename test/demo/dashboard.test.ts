import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { type Test, test } from 'tap'
import { WebSocket } from 'ws'
import { launchBrowser } from '../support/browser.ts'
import { centrifuge, next } from '../support/centrifuge.ts'
import { DemoProcess } from '../support/demo.ts'
import { freePort, RedisServer } from '../support/redis-server.ts'

/*
 * The dashboard in a browser: of one process, and of two workers over Redis. The parts that need no browser are tested
 * under test/demo/dashboard and test/demo/page.
 */

const DESKTOP = { viewport: { width: 1280, height: 800 } }
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }
// Machines that run other tests meanwhile are slow to paint.
const PATIENCE = 30_000
const ADMIN_KEY = 'the-key-of-an-administrator'
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let browser: Browser
const faults: string[] = []

/** Opens the dashboard, signed out; with the administrator key unless `fragment` is another. */
async function open(
  t: Test,
  demo: DemoProcess,
  options: BrowserContextOptions = DESKTOP,
  fragment = `#key=${ADMIN_KEY}`
): Promise<Page> {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE)
  page.on('pageerror', (error) => faults.push(String(error)))
  // The browser itself logs each refused connection; everything else is ours, violations of the policy too.
  page.on('console', (message) => {
    if (message.type() === 'error' && !/ERR_|WebSocket connection|Failed to load/.test(message.text())) {
      faults.push(message.text())
    }
  })
  await page.goto(`${demo.address}/dashboard${fragment}`)
  await page.locator('#status[data-status="signed-out"]').waitFor()
  return page
}

async function signIn(page: Page): Promise<Page> {
  await page.getByLabel('Name').fill('admin')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.locator('#status[data-status="connected"]').waitFor()
  return page
}

interface Client {
  readonly closed: Promise<{ code: number; reason: string }>
}

async function client(t: Test, demo: DemoProcess, user: string, path = '/ws/json'): Promise<Client> {
  const socket = new WebSocket(demo.address.replace('http', 'ws') + path, [
    'realtime.v1',
    `bearer.${await demo.token(user)}`
  ])
  t.teardown(() => socket.terminate())
  const closed = once(socket, 'close').then(([code, reason]) => ({ code, reason: String(reason) }))
  await once(socket, 'open')
  return { closed }
}

const row = (page: Page, text: string): Locator => page.locator('#connections tbody tr', { hasText: text })
const users = (page: Page) => page.locator('#connections tbody td:nth-child(2)').allTextContents()
const node = (page: Page, state: string): Locator => page.locator(`#nodes [data-state="${state}"]`)

// What runs in the page is given as text: the types of a browser's globals are not those of these tests.

/** Waits until this holds in the page. Playwright's own way would need `eval`, which the page's policy forbids. */
async function until(page: Page, condition: string): Promise<void> {
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
function figure(page: Page, place: string, attribute: string, holds: string): Promise<void> {
  return until(
    page,
    `((value) => value && ${holds})(JSON.parse(document.querySelector('${place}').dataset.${attribute} ?? 'null'))`
  )
}

/** What axe finds wrong with the page, as it is. */
function violations(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`${axe};
    axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))`)
}

async function ofOneProcess(whole: Test): Promise<void> {
  const demo = await DemoProcess.start(whole, { ADMIN_KEY, HEARTBEAT_INTERVAL: '200' })

  await whole.test('who is not an administrator is told so, and sees nothing', async (t) => {
    const page = await open(t, demo, DESKTOP, '')
    t.ok(await page.getByRole('heading', { name: 'For administrators' }).isVisible())
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('requires the administrator key').last().waitFor()
    const stranger = await open(t, demo, DESKTOP, '#key=the-key-of-somebody-else')
    t.equal(await stranger.evaluate('location.hash'), '', 'the key is not left in the address')
    await stranger.getByRole('button', { name: 'Sign in' }).click()
    await stranger.getByText('requires the administrator key').last().waitFor()
    t.notOk(await stranger.locator('#connections').isVisible())
    t.notOk(await page.locator('#connections').isVisible())
    t.same(await violations(page), [])
    await page.getByText('Use a token').click()
    const bring = async (token: string) => {
      await page.getByLabel('Token').fill(token)
      await page.getByLabel('Token').press('Enter')
    }
    await bring(await demo.token('mallory'))
    await page.getByText('This token has no claim admin.').waitFor()
    await bring('not a token')
    await page.getByText('The token is not valid any more.').waitFor()
    t.notOk(await page.locator('#connections').isVisible())
  })

  const page = await signIn(await open(whole, demo))

  await whole.test('charts get points, and figures for who can’t see them', async (t) => {
    await Promise.all([
      figure(page, '#chart-connections', 'points', 'value >= 3'),
      figure(page, '#chart-connections', 'last', 'value.server === 1'),
      figure(page, '#chart-messages', 'last', 'value.out > 0'),
      figure(page, '#chart-lag', 'last', 'value.p50 > 0 && value.p50 <= value.p99'),
      figure(page, '#chart-round-trip', 'last', 'value.p50 > 0 && value.p50 <= value.p99'),
      figure(page, '#chart-buffered', 'last', 'value.waiting === 0')
    ])
    t.equal(await page.locator('.uplot canvas').count(), 5)
    t.match(await page.locator('#chart-connections .plot').getAttribute('aria-label'), /^Connections, now\. server 1/)
    t.equal(await page.locator('#redis').getAttribute('data-state'), 'memory')
    await page.getByText('The charts as a table').click()
    await page.getByRole('row', { name: /^Round trip: p99 .*ms/ }).waitFor()
    await page.getByText('The charts as a table').click()
  })

  await whole.test('connections come into the table; filter and order by keyboard', async (t) => {
    await client(t, demo, 'zoe')
    await client(t, demo, 'amy', '/ws/rooms/tea')
    await client(t, demo, 'bob')
    await page.getByText('4 connections', { exact: true }).waitFor()
    t.same(await users(page), ['bob', 'amy', 'zoe', 'admin'], 'the newest first')
    t.match(await row(page, 'amy').textContent(), /^server.*\/ws\/rooms\/:room/)
    await until(
      page,
      `/1 Channels|rooms\\/tea/.test(document.querySelector('#connections [title="rooms/tea"]')?.title)`
    )

    const user = page.getByRole('button', { name: 'User' })
    const header = page.getByRole('columnheader', { name: 'User' })
    await user.focus()
    await page.keyboard.press('Enter')
    t.equal(await header.getAttribute('aria-sort'), 'ascending')
    t.same(await users(page), ['admin', 'amy', 'bob', 'zoe'], 'at once')
    await page.keyboard.press('Enter')
    t.equal(await header.getAttribute('aria-sort'), 'descending')
    t.same(await users(page), ['zoe', 'bob', 'amy', 'admin'])
    t.equal(await page.locator('th[aria-sort]').count(), 1)

    await page.getByLabel('Filter').focus()
    await page.keyboard.type('ROOMS/tea')
    await page.locator('#said', { hasText: '1 connection with “ROOMS/tea”, of 4' }).waitFor({ state: 'attached' })
    t.same(await users(page), ['amy'])
    await page.keyboard.press('ControlOrMeta+a')
    await page.keyboard.type('nobody of this name')
    await page.getByText('No connection matches.').waitFor()
    await page.keyboard.press('ControlOrMeta+a')
    await page.keyboard.press('Delete')
    await row(page, 'zoe').waitFor()
  })

  await whole.test('the button ends a connection, of either kind, once it was confirmed', async (t) => {
    const victim = await client(t, demo, 'victim')
    const button = page.getByRole('button', { name: 'Disconnect victim, /ws/json, server' })
    await button.focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog')
    await dialog.getByText('victim on /ws/json').waitFor()
    t.same(await violations(page), [])
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'hidden' })
    t.match(await page.evaluate('document.activeElement.ariaLabel'), /^Disconnect victim/, 'nothing happened')
    await page.keyboard.press('Enter')
    await dialog.getByRole('button', { name: 'Disconnect' }).click()
    t.same(await victim.closed, { code: 4403, reason: 'disconnected by an administrator' })
    await button.waitFor({ state: 'detached' })
    await figure(page, '#closes', 'counts', "value['4403'] === 1")
    await page.locator('#events', { hasText: 'Disconnected victim on /ws/json' }).waitFor()

    const endpoint = `${demo.address.replace('http', 'ws')}/connection/websocket`
    const other = centrifuge(t, endpoint, { token: await demo.token('channels') })
    other.connect()
    const disconnected = next(other, 'disconnected')
    await row(page, 'channels').getByRole('button').click()
    await dialog.getByRole('button', { name: 'Disconnect' }).click()
    t.match(await disconnected, { code: 3503 })
    await row(page, 'channels').waitFor({ state: 'detached' })
  })

  await whole.test('by day and by night', async (t) => {
    t.same(await violations(page), [])
    const blue = (red: number, green: number, blue: number) =>
      until(
        page,
        `(() => {
        const { width, height } = document.querySelector('#chart-connections canvas')
        const { data } = document.querySelector('#chart-connections canvas').getContext('2d').getImageData(0, 0, width, height)
        const far = (at, value) => Math.abs(data[at] - value) > 24
        let found = false
        for (let at = 0; at < data.length && !found; at += 4) {
          found = data[at + 3] > 200 && !far(at, ${red}) && !far(at + 1, ${green}) && !far(at + 2, ${blue})
        }
        return found
      })()`
      )
    await blue(0x2f, 0x66, 0xdd)
    await page.emulateMedia({ colorScheme: 'dark' })
    await blue(0x6f, 0xa1, 0xff)
    t.same(await violations(page), [])
  })

  await whole.test('on a phone: one column, and the table scrolls in its own box', async (t) => {
    const phone = await signIn(await open(t, demo, PHONE))
    await figure(phone, '#chart-connections', 'points', 'value >= 1')
    await row(phone, 'admin').first().waitFor()
    const [overflow, scrolls, columns] = await phone.evaluate<number[]>(`{
      const page = document.documentElement
      const box = document.querySelector('.people .scroll')
      const left = (card) => card.getBoundingClientRect().left;
      [page.scrollWidth - page.clientWidth, box.scrollWidth - box.clientWidth,
        new Set(Array.from(document.querySelectorAll('.card.chart, .card.tally'), left)).size]
    }`)
    t.equal(overflow, 0)
    t.ok(Number(scrolls) > 100)
    t.equal(columns, 1)
    t.same(await violations(phone), [])
  })

  await whole.test('a reload asks nothing; who signs out is out', async (t) => {
    await page.reload()
    await page.locator('#status[data-status="connected"]').waitFor()
    await row(page, 'admin').waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.locator('#status[data-status="signed-out"]').waitFor()
    await page.reload()
    await page.locator('#status[data-status="signed-out"]').waitFor()
    t.notOk(await page.locator('#connections').isVisible())
  })
}

async function ofTwoWorkers(whole: Test): Promise<void> {
  const redis = await RedisServer.start(whole)
  // A port of its own: one that is given out would be another once no worker has it.
  const port = String(await freePort())
  const env = { ADMIN_KEY, PORT: port, REDIS_URL: redis.url, DRAIN_WINDOW: '3000', DRAIN_TIMEOUT: '8000' }
  const demo = await DemoProcess.start(whole, env, undefined, ['--workers', '2'])
  await demo.message('all workers listen')
  const page = await signIn(await open(whole, demo))

  await whole.test('both are there, and their connections add up', async (t) => {
    await node(page, 'up').nth(1).waitFor()
    const clients = new Map<string, Client>()
    for (const user of ['ada', 'bob', 'cyd', 'dan', 'eve']) clients.set(user, await client(t, demo, user))
    await page.getByText('6 connections', { exact: true }).waitFor()
    await figure(
      page,
      '#chart-connections',
      'last',
      'Object.keys(value).length === 2 && Object.values(value).reduce((a, b) => a + b) === 6'
    )
    await until(
      page,
      `[...document.querySelectorAll('#nodes > li')].reduce((sum, { dataset }) => sum + Number(dataset.connections), 0) === 6`
    )
    t.equal(await page.locator('#redis').getAttribute('data-state'), 'up')

    const own = await page.locator('#nodes > li', { hasText: 'this page’s node' }).locator('h3').textContent()
    const elsewhere = page
      .locator('#connections tbody tr')
      .filter({ hasNotText: String(own) })
      .first()
    const user = String(await elsewhere.locator('td').nth(1).textContent())
    await elsewhere.getByRole('button').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click()
    t.match(await clients.get(user)?.closed, { code: 4403 }, 'also on the other node')
    await row(page, user).waitFor({ state: 'detached' })
  })

  await whole.test('Redis goes, which is said, and comes back', async (t) => {
    await redis.kill()
    await page.locator('#redis[data-state="away"]').waitFor()
    await page
      .getByText(/^Redis is away since \d\d:\d\d:\d\d/)
      .first()
      .waitFor()
    await node(page, 'out-of-sight').waitFor()
    t.equal(await node(page, 'up').count(), 1, 'its own node still answers')
    t.same(await violations(page), [])
    await redis.restart()
    await page.locator('#redis[data-state="up"]').waitFor()
    await node(page, 'up').nth(1).waitFor()
    await page.locator('#events', { hasText: 'Redis is back' }).waitFor()
    t.notOk(await page.locator('#banner').isVisible())
  })

  await whole.test('a node that drains shows how far it is; one that is killed is gone', async (t) => {
    // Two closes of a drain are half a second apart: with so many it takes long enough to be seen.
    await Promise.all(Array.from({ length: 10 }, (_, at) => client(t, demo, `user-${at}`)))
    const kill = async (card: Locator, signal: NodeJS.Signals): Promise<Locator> => {
      const [, pid] = /pid (\d+)/.exec(String(await card.textContent())) ?? []
      const id = await card.getAttribute('data-node')
      process.kill(Number(pid), signal)
      return page.locator(`#nodes [data-node="${id}"]`)
    }
    const other = await kill(node(page, 'up').filter({ hasNotText: 'this page’s node' }), 'SIGTERM')
    await other.getByText(/^\d+ of \d+ connections left$/).waitFor()
    t.ok(await other.locator('progress').isVisible())
    await other.getByText(/^drained .*: \d+ closed, 0 cut$/).waitFor()

    // The page's own: it goes to another, and is given what it missed there.
    const own = await kill(node(page, 'up').filter({ hasText: 'this page’s node' }), 'SIGKILL')
    await page.locator('#status[data-status="reconnecting"]').waitFor()
    await page.locator('#status[data-status="connected"]').waitFor()
    await own.getByText(/^last heard/).waitFor()
    t.equal(await own.getAttribute('data-state'), 'gone')
    await page.locator('#events', { hasText: 'is gone' }).waitFor()
    await node(page, 'up').nth(1).waitFor()
  })
}

// Most of the time is waiting: for the turn of a second, for silence. Both wait at the same time.
test('the dashboard in a browser', { jobs: 2 }, async (whole) => {
  browser = await launchBrowser()
  whole.teardown(() => browser.close())
  await Promise.all([
    whole.test('of one process', { buffered: true }, ofOneProcess),
    whole.test('of two workers', { buffered: true }, ofTwoWorkers)
  ])
  whole.same(faults, [], 'no error in any page')
})
