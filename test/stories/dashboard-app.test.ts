import { once } from 'node:events'
import type { Browser, Locator, Page } from 'playwright-core'
import { type Test, test } from 'tap'
import { WebSocket } from 'ws'
import { launchBrowser } from '../support/browser.ts'
import { cutOff, DESKTOP, figure, openPage, PHONE, until, violations } from '../support/dashboard-page.ts'
import { ForeignNode } from '../support/foreign-node.ts'
import { freePort, RedisServer } from '../support/redis-server.ts'

/*
 * The dashboard in somebody else's application, with @fastify/autoload, @fastify/helmet and cookie sessions: two nodes
 * over Redis. The first has run for ten minutes, and its clocks are ten minutes ahead.
 */

const DASHBOARD = '/admin/dashboard'
const card = (page: Page, name: string): Locator =>
  page.locator('#nodes > li').filter({ has: page.getByRole('heading', { name, exact: true }) })
const state = (page: Page, name: string, wanted: string) =>
  until(
    page,
    `[...document.querySelectorAll('#nodes > li')].some((it) => it.querySelector('h3').textContent === '${name}' && it.dataset.state === '${wanted}')`
  )
const row = (page: Page, text: string): Locator => page.locator('#connections tbody tr', { hasText: text })

async function strangers(whole: Test, node: ForeignNode): Promise<void> {
  const post = (path: string, headers: Record<string, string>, body: object = {}) =>
    fetch(`${node.address}${DASHBOARD}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body)
    })

  await whole.test(
    'the hook of the application keeps strangers and users out, and nothing is sent to them',
    async (t) => {
      const cookie = await node.login('mallory')
      for (const [headers, status] of [[{}, 401] as const, [{ cookie }, 403] as const]) {
        for (const path of ['', '/page.js', '/page.css']) {
          const response = await fetch(`${node.address}${DASHBOARD}${path}`, { headers, redirect: 'manual' })
          t.equal(response.status, status, path)
        }
        for (const path of ['live', 'depths', 'disconnect']) t.equal((await post(path, headers)).status, status, path)
      }
    }
  )

  await whole.test('another site cannot use the session of an administrator', async (t) => {
    const cookie = await node.login('root', 'admin')
    const evil = { cookie, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
    t.equal((await post('disconnect', evil, { connection: 'c' })).status, 403)
    t.equal((await post('disconnect', { cookie, origin: node.address }, { connection: 'c' })).status, 200)
  })

  await whole.test('a channel client cannot subscribe to the channel of the dashboard', async (t) => {
    const url = `${node.address.replace('http', 'ws')}/connection/websocket`
    const socket = new WebSocket(url, { headers: { cookie: await node.login('mallory'), origin: node.address } })
    t.teardown(() => socket.terminate())
    await once(socket, 'open')
    const answer = async (command: object) => {
      socket.send(JSON.stringify(command))
      const [data] = await once(socket, 'message')
      return JSON.parse(String(data))
    }
    t.match(await answer({ id: 1, connect: {} }), { id: 1, connect: {} })
    t.match(await answer({ id: 2, subscribe: { channel: '\u0000dashboard' } }), { id: 2, error: { code: Number } })
    t.match(await answer({ id: 3, publish: { channel: '\u0000dashboard', data: {} } }), {
      id: 3,
      error: { code: Number }
    })
  })
}

async function administrators(whole: Test, browser: Browser, nodes: ForeignNode[], start: Starter): Promise<void> {
  const [first, second] = nodes as [ForeignNode, ForeignNode]
  const faults: string[] = []
  const cookie = await first.login('root', 'admin')
  const address = `${first.address}${DASHBOARD}`
  const [ada, bob] = await Promise.all([first.join(whole, 'ada', 'tea'), second.join(whole, 'bob', 'coffee')])
  const page = await openPage(whole, browser, { address, cookie, faults })

  await whole.test('the first open shows ten minutes, and all nodes, whatever their clocks say', async (t) => {
    await figure(page, '#chart-connections', 'points', 'value > 550')
    await Promise.all(['eu-1', 'eu-2'].map((name) => state(page, name, 'up')))
    await figure(page, '#chart-connections', 'last', "value['eu-1'] === 1 && value['eu-2'] === 1")
    t.match(await card(page, 'eu-1').textContent(), /serves this page/)
    t.equal(await page.locator('#redis').getAttribute('data-state'), 'up')
    await page.locator('#events', { hasText: 'eu-2 started' }).waitFor()
    const { headers } = await fetch(address, { headers: { cookie } })
    t.match(headers.get('content-security-policy'), /^default-src 'none'/, 'not the policy of helmet')
    t.ok(headers.get('strict-transport-security'), 'which is registered')
  })

  await whole.test('search over all nodes, and a connection of the other node is ended', async (t) => {
    await page.getByText('2 connections', { exact: true }).waitFor()
    await page.getByLabel('Search').fill('COFFEE')
    await page.locator('#said', { hasText: '1 connection with “COFFEE”' }).waitFor({ state: 'attached' })
    t.match(await row(page, 'bob').textContent(), /eu-2/)
    const closed = once(bob, 'close')
    await page.getByRole('button', { name: 'Disconnect bob, /api/chat/:room, eu-2' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click()
    t.equal((await closed)[0], 4403)
    await page.getByText('No connection matches.').waitFor()
    await page.getByLabel('Search').fill('')
    await row(page, 'ada').waitFor()
  })

  await whole.test('channels of all nodes are one row', async (t) => {
    await second.join(t, 'cyd', 'tea')
    ada.send('{"text":"hello"}')
    await page.getByRole('tab', { name: 'Channels' }).click()
    await until(
      page,
      `(() => {
        const rows = [...document.querySelectorAll('#channels tbody tr')]
        const cells = [...(rows.find(({ textContent }) => textContent.includes('rooms/tea'))?.cells ?? [])]
        const [, subscribers, , position, history, behind] = cells.map(({ textContent }) => textContent)
        return subscribers === '2' && position === '1' && history === '1' && behind === '0'
      })()`
    )
    await page.getByRole('tab', { name: 'Connections' }).click()
  })

  await whole.test('on a desk and on a phone, by day and by night', async (t) => {
    for (const device of [DESKTOP, PHONE]) {
      for (const colorScheme of ['light', 'dark'] as const) {
        const other = await openPage(t, browser, { address, cookie, faults, context: { ...device, colorScheme } })
        await row(other, 'ada').waitFor()
        await figure(other, '#chart-connections', 'points', 'value > 550')
        t.same(await violations(other), [])
        if (device === PHONE) t.same(await cutOff(other), { overflow: 0, clipped: [] })
      }
    }
  })

  await whole.test('a node drains, ends, and comes back', async (t) => {
    await Promise.all(Array.from({ length: 8 }, (_, at) => second.join(t, `guest-${at}`, 'tea')))
    await page.getByText('9 connections', { exact: true }).waitFor()
    second.kill('SIGTERM')
    await card(page, 'eu-2')
      .getByText(/^\d+ of \d+ connections left$/)
      .waitFor()
    t.ok(await card(page, 'eu-2').locator('progress').isVisible())
    await card(page, 'eu-2')
      .getByText(/^drained .*: \d+ closed, \d+ cut$/)
      .waitFor()
    nodes[1] = await start('eu-3')
    await state(page, 'eu-3', 'up')
    await page.locator('#events', { hasText: 'eu-3' }).first().waitFor()
  })

  await whole.test('a node that is killed is gone', async () => {
    nodes[1]?.kill('SIGKILL')
    await state(page, 'eu-3', 'gone')
    await page.locator('#events', { hasText: 'eu-3 is gone' }).waitFor()
  })
  whole.same(faults, [], 'no error, no violation of the policy, no request elsewhere')
}

type Starter = (name: string) => Promise<ForeignNode>

test('the dashboard in an application of its own', async (whole) => {
  const redis = await RedisServer.start(whole)
  const start = async (name: string, isOld = false) =>
    ForeignNode.start(whole, { redis: redis.url, name, port: await freePort(), isOld })
  const nodes = await Promise.all([start('eu-1', true), start('eu-2')])
  const browser = await launchBrowser()
  whole.teardown(() => browser.close())
  await strangers(whole, nodes[0])
  await administrators(whole, browser, nodes, start)

  await whole.test('Redis goes, and comes back', async (t) => {
    const faults: string[] = []
    nodes[1] = await start('eu-4')
    const cookie = await nodes[0].login('root', 'admin')
    const page = await openPage(t, browser, { address: `${nodes[0].address}${DASHBOARD}`, cookie, faults })
    await state(page, 'eu-4', 'up')
    await redis.kill()
    await page.locator('#redis[data-state="away"]').waitFor()
    await page.getByText(/^Redis is away since \d\d:\d\d:\d\d/).waitFor()
    await state(page, 'eu-4', 'out-of-sight')
    await state(page, 'eu-1', 'up')
    t.same(await violations(page), [])
    await redis.restart()
    await page.locator('#redis[data-state="up"]').waitFor()
    await state(page, 'eu-4', 'up')
    await page.locator('#events', { hasText: 'Redis is back' }).waitFor()
    t.notOk(await page.locator('#banner').isVisible())
    t.same(faults, [])
  })
})
