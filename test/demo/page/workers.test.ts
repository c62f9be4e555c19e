import tap, { test } from 'tap'
import { WebSocket } from 'ws'
import { launchBrowser } from '../../support/browser.ts'
import { centrifuge } from '../../support/centrifuge.ts'
import { DemoProcess } from '../../support/demo.ts'
import { Visitors, type Whiteboard } from '../../support/whiteboard.ts'

/* Three workers and a Redis of their own, broken from the page in every way that the panel knows. */

// Seven processes are started for this, which takes a machine that does other things meanwhile a while.
const PATIENCE = 240_000
const DOT_INTERVAL = 120

tap.setTimeout(PATIENCE)

/** Draws dots until told to stop. */
async function drawDots({ page }: Whiteboard): Promise<{ stop(): Promise<number> }> {
  await page.evaluate(`{
    const pad = document.getElementById('pad')
    pad.setPointerCapture = () => {}
    window.dots = 0
    window.drawing = setInterval(() => {
      const { left, top, width, height } = pad.getBoundingClientRect()
      const at = window.dots++
      const place = { pointerId: 1, button: 0, clientX: left + (at * 7) % width, clientY: top + (at * 3) % height }
      for (const type of ['pointerdown', 'pointerup']) pad.dispatchEvent(new PointerEvent(type, place))
    }, ${DOT_INTERVAL})
  }`)
  return { stop: () => page.evaluate<number>('clearInterval(window.drawing), window.dots') }
}

/** Presses a button of the panel, and says what is shown then: the figures, and what was done. */
async function press({ page }: Whiteboard, action: string): Promise<{ figures: string; gap: number; told: string[] }> {
  const button = page.locator(`[data-action="${action}"]`)
  await button.click()
  const output = page.locator('.single > li', { has: button }).locator('output')
  await output.locator('p', { hasText: 'lost' }).waitFor({ timeout: PATIENCE })
  const [figures = '', ...told] = await output.locator('p').allTextContents()
  return { figures, gap: Number(figures.match(/gap (\d+) ms$/)?.[1]), told }
}

test('three workers, broken from the page', { timeout: PATIENCE }, async (whole) => {
  const browser = await launchBrowser()
  whole.teardown(() => browser.close())
  const visitors = new Visitors(browser)
  const env = { JWT_SECRET: 'the secret of a demo to be broken', DRAIN_WINDOW: '300', DRAIN_TIMEOUT: '5000' }
  const [operator, ada, grace, demo] = await (async () => {
    const demo = await DemoProcess.start(whole, env, undefined, ['--workers', '3'])
    await demo.message('all workers listen')
    const key = `&key=${await demo.adminKey()}`
    const open = (user: string, more = '') => visitors.open(whole, `${demo.address}/#broken${more}`, { user })
    return [...(await Promise.all([open('Operator', key), open('Ada'), open('Grace')])), demo] as const
  })()
  const history = async () => {
    const client = centrifuge(whole, `ws://127.0.0.1:${demo.port}/connection/websocket`, {
      websocket: WebSocket,
      token: await demo.token('reader')
    })
    const subscription = client.newSubscription('boards/broken')
    subscription.subscribe()
    client.connect()
    const ids: string[] = []
    for (let since: { offset: number; epoch: string } | undefined; ; ) {
      const { publications, epoch } = await subscription.history({ limit: 1_000, since })
      ids.push(...publications.map(({ data }) => (data as { id: string }).id))
      const last = publications.at(-1)
      if (last === undefined) break
      since = { offset: last.offset as number, epoch }
    }
    client.disconnect()
    return ids
  }
  await operator.page.locator('.more summary').click()

  /** Breaks something while two draw; every stroke is on all boards then, and none twice. */
  let drawn = 0
  const breakWhileDrawing = async (action: string) => {
    const dots = await Promise.all([drawDots(ada), drawDots(grace)])
    const shown = await press(operator, action)
    for (const { stop } of dots) drawn += await stop()
    await ada.untilUnsent(0)
    await grace.untilUnsent(0)
    return shown
  }

  await whole.test(
    'restarting them one by one, while two draw: every stroke is on all boards, and none twice',
    async (t) => {
      const { figures, gap, told } = await breakWhileDrawing('restart')
      t.match(figures, /^lost 0, duplicated 0, gap \d+ ms$/)
      t.ok(gap > 0)
      t.same(told, ['3 workers replaced, one by one'])
      await operator.event('The server restarts')
      for (const board of [operator, ada, grace]) await board.untilStrokes(drawn)
      const ids = await history()
      t.same([ids.length, new Set(ids).size], [drawn, drawn])
      t.comment({ drawn, gap })
      const workers = new Set(demo.logs.filter(({ msg }) => msg?.startsWith('Server listening')).map(({ pid }) => pid))
      t.equal(workers.size, 6)
    }
  )

  await whole.test('killing the worker that serves the page', async (t) => {
    const pill = await operator.watchPill()
    const { figures, gap, told } = await breakWhileDrawing('kill')
    t.match(figures, /^lost 0, duplicated 0, gap \d+ ms$/)
    t.ok(gap > 0)
    t.same(told, ['Another worker is in its place'])
    await pill.said(/^Recovered, /)
    t.match(await demo.message('a worker died'), { signal: 'SIGKILL' })
    for (const board of [operator, ada, grace]) await board.untilStrokes(drawn)
    t.comment({ drawn, gap })
  })

  await whole.test('killing their Redis: the boards are read anew, and nothing is lost', async (t) => {
    const pills = await Promise.all([operator, ada, grace].map((board) => board.watchPill()))
    const { figures, gap, told } = await breakWhileDrawing('redis')
    t.match(figures, /^lost 0, duplicated 0, gap \d+ ms$/)
    t.ok(gap > 500, `${gap} ms without Redis`)
    t.same(told, ['Redis is back'])
    await Promise.all(pills.map((pill) => pill.said(/^Board reloaded$/)))
    for (const board of [operator, ada, grace]) await board.untilStrokes(drawn)
    const ids = await history()
    t.same([ids.length, new Set(ids).size], [drawn, drawn])
    t.comment({ drawn, gap })
  })

  await whole.test('cutting the page’s own connection, flooding, and sending garbage', async (t) => {
    const pill = await operator.watchPill()
    const cut = await press(operator, 'cut')
    t.match(cut, { figures: /^lost 0, duplicated 0, gap \d+ ms$/, told: ['Cut without a close frame'] })
    t.ok(cut.gap > 0)
    await pill.said(/^Recovered, /)

    const flood = await press(operator, 'flood')
    t.match(flood.figures, /^lost 0, duplicated 0, gap \d+ ms$/)
    const [, refused] = flood.told[0]?.match(/^(\d+) of 600 messages refused; the connection is still the same$/) ?? []
    t.ok(Number(refused) >= 300, `${flood.told}`)

    const garbage = await press(operator, 'garbage')
    t.match(garbage.figures, /^lost 0, duplicated 0, gap \d+ ms$/)
    t.same(garbage.told, [
      'Not JSON: answered invalid_json, and the connection goes on',
      '65 levels deep: answered too_deep, and the connection goes on',
      'Binary: answered unsupported_data, and the connection goes on',
      'More than 64 KiB: closed with 1009'
    ])
    t.comment({ cut: cut.gap, flood: flood.gap, refused, garbage: garbage.gap })
    await ada.draw(0.5)
    await operator.ink(0.5)
  })

  whole.same(visitors.faults, [], 'no error in any page')
  const { code } = await demo.end()
  whole.equal(code, 0)
  whole.same(
    demo.logs.filter(({ level }) => level >= 50),
    []
  )
  whole.same(demo.noise, [])
})
