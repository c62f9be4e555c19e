import { test } from 'tap'
import { WebSocket } from 'ws'
import { launchBrowser } from '../support/browser.ts'
import { figure, openPage } from '../support/dashboard-page.ts'
import { DemoProcess } from '../support/demo.ts'
import { freePort, RedisServer } from '../support/redis-server.ts'

/* The demo registers the package's dashboard with the administrator key. The tests of the page are in test/dashboard. */

const ADMIN_KEY = 'the-key-of-an-administrator'
const QUERY = { view: 'connections', order: 'age', descending: false, search: '' }

test('the dashboard of the demo', async (whole) => {
  const redis = await RedisServer.start(whole)
  const port = String(await freePort())
  const env = { ADMIN_KEY, PORT: port, REDIS_URL: redis.url, DRAIN_WINDOW: '500', DRAIN_TIMEOUT: '2000' }
  const demo = await DemoProcess.start(whole, env, undefined, ['--workers', '2'])
  await demo.message('all workers listen')
  const ask = async (authorization: string, path = 'live') => {
    const response = await fetch(`${demo.address}/dashboard/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
      body: JSON.stringify({ query: QUERY, channels: [], connection: 'c' })
    })
    await response.body?.cancel()
    return response.status
  }

  await whole.test('requires the administrator key; a token is none', async (t) => {
    for (const path of ['live', 'depths', 'disconnect']) {
      t.equal(await ask('', path), 401, path)
      t.equal(await ask(`Bearer ${await demo.token('mallory')}`, path), 401, path)
      t.equal(await ask(`Bearer ${ADMIN_KEY}`, path), 200, path)
    }
    t.notMatch(
      JSON.stringify(demo.logs.filter(({ msg }) => msg !== undefined && !/open this address/.test(msg))),
      ADMIN_KEY
    )
  })

  await whole.test('shows the connections of all workers', async (t) => {
    const browser = await launchBrowser()
    t.teardown(() => browser.close())
    const sockets = Array.from({ length: 6 }, async () => {
      const protocols = ['realtime.v1', `bearer.${await demo.token('ada')}`]
      const socket = new WebSocket(`${demo.address.replace('http', 'ws')}/ws/json`, protocols)
      t.teardown(() => socket.terminate())
      await new Promise((resolve) => socket.once('open', resolve))
    })
    await Promise.all(sockets)
    const faults: string[] = []
    const page = await openPage(t, browser, { address: `${demo.address}/dashboard#key=${ADMIN_KEY}`, faults })
    await figure(
      page,
      '#chart-connections',
      'last',
      "['worker 1', 'worker 2'].every((name) => name in value) && value['worker 1'] + value['worker 2'] === 6"
    )
    await page.getByText('6 connections', { exact: true }).waitFor()
    t.same(faults, [])
  })
})
