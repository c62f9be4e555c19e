import { once } from 'node:events'
import type { Browser, Locator, Page } from 'playwright-core'
import { type Test, test } from 'tap'
import { WebSocket } from 'ws'
import dashboard from '../../lib/dashboard/index.ts'
import { buildApp } from '../support/app.ts'
import { launchBrowser } from '../support/browser.ts'
import { cutOff, figure, openPage, PHONE, until, violations } from '../support/dashboard-page.ts'

/* The page in a browser, of one process with a key. test/stories/dashboard-app.test.ts has two nodes and a session. */

const KEY = 'a-key-of-many-characters'
const row = (page: Page, text: string): Locator => page.locator('#connections tbody tr', { hasText: text })
const users = (page: Page) => page.locator('#connections tbody td:first-child').allTextContents()
const connected = (page: Page) => page.locator('#status[data-status="connected"]').waitFor()

async function start(t: Test) {
  const { app } = await buildApp(
    t,
    {
      auth: { authenticate: async ({ query }) => ({ sub: (query as { user: string }).user }) },
      heartbeat: { interval: 200 }
    },
    { jwt: false }
  )
  app.ws('/rooms/:room', async (socket, request) => {
    const { room } = request.params as { room: string }
    await socket.subscribe(`rooms/${room}`)
    for (let at = 0; room === 'many' && at < 5; at++) await socket.subscribe(`more/${at}`)
    socket.sendJson('subscribed')
    for await (const message of socket.messages()) await socket.publish(`rooms/${room}`, message)
  })
  app.channel('rooms/:room', { history: { size: 10, ttl: 60_000 } })
  await app.register(dashboard, { prefix: '/ops/dashboard', key: KEY, name: 'web 1' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const join = async (t: Test, user: string, room = 'tea'): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/rooms/${room}?user=${user}`)
    t.teardown(() => socket.terminate())
    await once(socket, 'message')
    return socket
  }
  return { app, join, address: `http://127.0.0.1:${port}/ops/dashboard` }
}

async function ways(whole: Test, browser: Browser, faults: string[]): Promise<void> {
  const { address } = await start(whole)
  const page = await openPage(whole, browser, { address, faults })
  await page.getByRole('heading', { name: 'This dashboard has a key' }).waitFor()

  await whole.test('without the key nothing is shown, and a wrong one is refused', async (t) => {
    t.same(await violations(page), [])
    t.equal(await page.evaluate('document.activeElement.id'), 'key')
    await page.keyboard.type('not the key')
    await page.keyboard.press('Enter')
    await page.getByText('This is not the key.').waitFor()
    t.notOk(await page.locator('#connections').isVisible())
    t.equal(await page.locator('#connections tbody tr').count(), 0)
  })

  await whole.test('the key opens it; a reload asks for nothing; who signs out is out', async (t) => {
    await page.getByRole('textbox', { name: 'Key' }).fill(KEY)
    await page.getByRole('button', { name: 'Open' }).click()
    await connected(page)
    await page.reload()
    await connected(page)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'This dashboard has a key' }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'This dashboard has a key' }).waitFor()
    t.notMatch(await page.evaluate('JSON.stringify([{ ...sessionStorage }, { ...localStorage }])'), KEY)
  })

  await whole.test('the key in the fragment opens it, and does not stay in the address', async (t) => {
    const other = await openPage(t, browser, { address: `${address}#key=${KEY}`, faults })
    await connected(other)
    t.equal(await other.evaluate('location.href'), `${address}/`)
  })
}

async function tables(whole: Test, browser: Browser, faults: string[]): Promise<void> {
  const { join, address } = await start(whole)
  await Promise.all([join(whole, 'zoe'), join(whole, 'amy', 'coffee')])
  const page = await openPage(whole, browser, { address: `${address}#key=${KEY}`, faults })
  await connected(page)

  await whole.test('charts get points, and figures for those who cannot see them', async (t) => {
    const bob = await join(t, 'bob')
    const timer = setInterval(() => bob.send('{"text":"hi"}'), 100)
    t.teardown(() => clearInterval(timer))
    await Promise.all([
      figure(page, '#chart-connections', 'points', 'value >= 3'),
      figure(page, '#chart-connections', 'last', "value['web 1'] === 3"),
      figure(page, '#chart-messages', 'last', 'value.out > 0'),
      figure(page, '#chart-busy', 'last', "value['web 1'] >= 0"),
      figure(page, '#chart-lag', 'last', 'value.p50 > 0 && value.p50 <= value.p99'),
      figure(page, '#chart-round-trip', 'last', 'value.p50 > 0 && value.p50 <= value.p99'),
      figure(page, '#chart-buffered', 'last', 'value.waiting === 0')
    ])
    t.equal(await page.locator('.uplot canvas').count(), 6)
    t.match(await page.locator('#chart-connections .plot').getAttribute('aria-label'), /^Connections, now\. web 1 3/)
    t.equal(await page.locator('#redis').getAttribute('data-state'), 'memory')
    await page.locator('#events', { hasText: 'web 1 started' }).waitFor()
    await page.getByText('The charts as a table').click()
    await page.getByRole('row', { name: /^Round trip: p99 .*ms/ }).waitFor()
    await page.getByText('The charts as a table').click()
  })

  await whole.test('search and order by keyboard', async (t) => {
    await join(t, 'bob')
    await page.getByText('3 connections', { exact: true }).waitFor()
    await row(page, 'bob').waitFor()
    const header = page.getByRole('columnheader', { name: 'User' })
    await header.getByRole('button').focus()
    await page.keyboard.press('Enter')
    t.equal(await header.getAttribute('aria-sort'), 'ascending')
    t.same(await users(page), ['amy', 'bob', 'zoe'], 'at once')
    await page.keyboard.press('Enter')
    t.equal(await header.getAttribute('aria-sort'), 'descending')
    t.same(await users(page), ['zoe', 'bob', 'amy'])
    t.equal(await page.locator('#connections th[aria-sort]').count(), 1)
    await page.getByLabel('Search').focus()
    await page.keyboard.type('ROOMS/coffee')
    await page.locator('#said', { hasText: '1 connection with “ROOMS/coffee”' }).waitFor({ state: 'attached' })
    t.same(await users(page), ['amy'])
    await page.keyboard.press('ControlOrMeta+a')
    await page.keyboard.type('nobody of this name')
    await page.getByText('No connection matches.').waitFor()
    await page.keyboard.press('ControlOrMeta+a')
    await page.keyboard.press('Delete')
    await row(page, 'zoe').waitFor()
    t.equal(await page.locator('#events', { hasText: 'Connection lost' }).count(), 0, 'a query is no loss')
  })

  await whole.test('all subscriptions of a connection', async (t) => {
    await join(t, 'max', 'many')
    await page.getByRole('button', { name: /^Subscriptions of max.*: 6$/ }).click()
    const dialog = page.getByRole('dialog', { name: 'Subscriptions' })
    await dialog.getByText('more/4').waitFor()
    t.equal(await dialog.getByRole('listitem').count(), 6)
    t.same(await violations(page), [])
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'hidden' })
  })

  await whole.test('channels: subscribers, rates, history, and the connections on one', async (t) => {
    const bob = await join(t, 'bob')
    const timer = setInterval(() => bob.send('{"text":"hi"}'), 100)
    t.teardown(() => clearInterval(timer))
    await page.getByRole('tab', { name: 'Connections' }).focus()
    await page.keyboard.press('ArrowRight')
    t.equal(await page.evaluate('document.activeElement.id'), 'tab-channels')
    const tea = page.locator('#channels tbody tr', { hasText: 'rooms/tea' })
    await until(
      page,
      `(() => {
        const cells = [...(document.querySelector('#channels tbody tr')?.cells ?? [])].map(({ textContent }) => textContent)
        const [name, subscribers, rate, position, history, behind] = cells
        return name === 'rooms/tea' && subscribers === '2' && Number(rate) > 2 && Number(position) > 0 && history === '10' && behind === '0'
      })()`
    )
    t.same(await violations(page), [])
    await tea.getByRole('button').click()
    await page.locator('#said', { hasText: '2 connections with “rooms/tea”' }).waitFor({ state: 'attached' })
    t.same((await users(page)).sort(), ['bob', 'zoe'])
    await page.getByLabel('Search').fill('')
    await row(page, 'amy').waitFor()
  })

  await whole.test('the slowest readers, and the way to their rows', async (t) => {
    const slow = await join(t, 'slow', 'flood')
    const fast = await join(t, 'fast', 'flood')
    slow.pause()
    const text = JSON.stringify({ text: 'x'.repeat(60_000) })
    const timer = setInterval(() => fast.send(text), 20)
    t.teardown(() => clearInterval(timer))
    const button = page.locator('#slow').getByRole('button', { name: 'slow' })
    await button.waitFor()
    clearInterval(timer)
    await button.click()
    await page.getByText('1 connection with', { exact: false }).first().waitFor()
    t.same(await users(page), ['slow'])
    t.same(await violations(page), [])
    slow.resume()
    await page.getByText('No reader is behind').waitFor()
    await page.getByLabel('Search').fill('')
    await row(page, 'amy').waitFor()
  })

  await whole.test('a connection is ended once it was confirmed', async (t) => {
    const victim = await join(t, 'victim')
    const closed = once(victim, 'close')
    const button = page.getByRole('button', { name: 'Disconnect victim, /rooms/:room, web 1' })
    await button.focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Disconnect?' })
    await dialog.getByText('victim on /rooms/:room').waitFor()
    t.same(await violations(page), [])
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'hidden' })
    t.match(await page.evaluate('document.activeElement.ariaLabel'), /^Disconnect victim/, 'nothing happened')
    // Closed and opened again before the browser reports the first close: the second answer counted for nothing.
    await page.keyboard.press('Enter')
    await dialog.waitFor()
    await page.evaluate("document.getElementById('confirm').close(), document.activeElement.click()")
    await dialog.getByRole('button', { name: 'Disconnect' }).click()
    const [code, reason] = await closed
    t.same([code, String(reason)], [4403, 'disconnected by an administrator'])
    await button.waitFor({ state: 'detached' })
    await figure(page, '#closes', 'counts', "value['4403'] === 1")
    await page.locator('#events', { hasText: 'Disconnected victim' }).waitFor()
  })

  await whole.test('by day and by night, on a desk and on a phone', async (t) => {
    t.same(await violations(page), [])
    const colour = () => page.evaluate<string>("getComputedStyle(document.body).getPropertyValue('background-color')")
    const day = await colour()
    await page.emulateMedia({ colorScheme: 'dark' })
    t.not(await colour(), day)
    t.same(await violations(page), [])
    for (const colorScheme of ['light', 'dark'] as const) {
      const phone = await openPage(t, browser, {
        address: `${address}#key=${KEY}`,
        context: { ...PHONE, colorScheme },
        faults
      })
      await row(phone, 'amy').waitFor()
      await figure(phone, '#chart-connections', 'points', 'value >= 1')
      t.same(await violations(phone), [])
      t.same(await cutOff(phone), { overflow: 0, clipped: [] })
      await phone.getByRole('tab', { name: 'Channels' }).click()
      await phone.locator('#channels tbody tr').first().waitFor()
      t.same(await violations(phone), [])
      t.same(await cutOff(phone), { overflow: 0, clipped: [] })
    }
  })
}

test('the page in a browser', { jobs: 2 }, async (whole) => {
  const browser = await launchBrowser()
  whole.teardown(() => browser.close())
  const faults: string[] = []
  await Promise.all([
    whole.test('the ways in', { buffered: true }, (t) => ways(t, browser, faults)),
    whole.test('what it shows', { buffered: true }, (t) => tables(t, browser, faults))
  ])
  whole.same(faults, [], 'no error, no violation of the policy, no request elsewhere')
})
