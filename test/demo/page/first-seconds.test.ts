import tap, { type Test, test } from 'tap'
import { WebSocket } from 'ws'
import { launchBrowser } from '../../support/browser.ts'
import { centrifuge } from '../../support/centrifuge.ts'
import { DemoProcess } from '../../support/demo.ts'
import { PHONE, Visitors, type Whiteboard } from '../../support/whiteboard.ts'

/* What a visitor sees who does nothing, and what the one button does. */

// Nine processes are started for this, which takes a machine that does other things meanwhile a while.
const PATIENCE = 240_000

tap.setTimeout(PATIENCE)

const MOVING = { reducedMotion: 'no-preference' } as const

interface Piece {
  readonly id?: string
  readonly user: string
  readonly undo?: string
  readonly client: string
}

/** Waits until the guide has drawn something that the visitor sees. */
const untilGuideDraws = ({ page }: Whiteboard) => page.locator('#sheet[data-strokes]:not([data-strokes="0"])').waitFor()

test('the first seconds, and the one button', { timeout: PATIENCE }, async (whole) => {
  const browser = await launchBrowser()
  whole.teardown(() => browser.close())
  const visitors = new Visitors(browser)
  const env = { JWT_SECRET: 'the secret of a demo that shows itself', DRAIN_WINDOW: '300', DRAIN_TIMEOUT: '5000' }
  const demo = await DemoProcess.start(whole, env, undefined, ['--workers', '2'])
  await demo.message('all workers listen')
  const key = await demo.adminKey()
  const board = (name: string) => `${demo.address}/#${name}&key=${key}`

  /** Watches a board as another program would, and takes note of each piece and who sent it. */
  const observe = async (t: Test, name: string) => {
    const token = await demo.token('observer')
    const client = centrifuge(t, `ws://127.0.0.1:${demo.port}/connection/websocket`, { websocket: WebSocket, token })
    const subscription = client.newSubscription(`boards/${name}`, {
      since: { offset: 0, epoch: '' },
      recoverable: true
    })
    const pieces: Piece[] = []
    let wake = () => {}
    subscription.on('publication', ({ data, info }) => {
      pieces.push({ ...(data as Piece), client: info?.client ?? '' })
      wake()
    })
    const subscribed = new Promise((resolve) => subscription.once('subscribed', resolve))
    subscription.subscribe()
    client.connect()
    await subscribed
    const until = async (holds: () => boolean) => {
      while (!holds()) await new Promise<void>((resolve) => (wake = resolve))
    }
    return { pieces, until }
  }

  await whole.test('a second client draws through another worker, and stops at once for the visitor', async (t) => {
    const ada = await visitors.open(t, board('guided'), { user: 'Ada', ...MOVING })
    await untilGuideDraws(ada)
    // Not before: for a visitor who is not alone it would not draw.
    const { pieces, until } = await observe(t, 'guided')
    await ada.person('Guide')
    await ada.page.locator('#names [data-user="Guide"]').waitFor({ state: 'attached' })
    await until(() => pieces.length > 3)
    t.same(new Set(pieces.map(({ user }) => user)), new Set(['Guide']))
    const workers = await ada.page.locator('.lanes .at').allTextContents()
    t.match(workers, [/^worker [12]$/, /^worker [12]$/])
    t.not(workers[0], workers[1], 'another worker')

    await ada.draw(0.95)
    await ada.page.locator('#note', { hasText: 'Your turn.' }).waitFor()
    await until(() => pieces.some(({ user }) => user === 'Ada'))
    const clients = new Map(pieces.map(({ user, client }) => [user, client]))
    t.not(clients.get('Guide'), clients.get('Ada'), 'another connection')
    await ada.person('Guide', false)
    await ada.page.locator('#names [data-user="Guide"]').waitFor({ state: 'detached' })
    await ada.untilUnsent(0)
    t.equal(await ada.page.locator('[data-count="lost"]').textContent(), '0')
    // The visitor's own lines are there now: nobody draws over them.
    await ada.page.reload()
    await ada.untilStrokes(new Set(pieces.map(({ id = '' }) => id.split('.')[0])).size)
    await ada.person('Ada')
    t.ok(await ada.page.locator('#note').isHidden())
  })

  await whole.test('after a reload it begins anew, and a key stops it too', async (t) => {
    const ada = await visitors.open(t, board('again'), MOVING)
    await untilGuideDraws(ada)
    await ada.page.reload()
    await untilGuideDraws(ada)
    const { pieces, until } = await observe(t, 'again')
    await until(() => pieces.some(({ undo }) => undo !== undefined))
    const before = pieces.length
    await until(() => pieces.length > before + 2)
    await ada.page.keyboard.press('Shift')
    await ada.page.locator('#note', { hasText: 'Your turn.' }).waitFor()
    await ada.person('Guide', false)
  })

  await whole.test('if less motion is preferred, it waits for a press', async (t) => {
    const ada = await visitors.open(t, board('still'))
    const play = ada.page.getByRole('button', { name: 'Let the guide draw' })
    await play.waitFor()
    t.equal(await ada.strokes(), 0)
    await ada.page.getByText('Draw here.').waitFor()
    await play.click()
    await untilGuideDraws(ada)
    t.notOk(await play.isVisible())
  })

  await whole.test('a guest sees what would be done, and that the key is missing', async (t) => {
    const guest = await visitors.open(t, `${demo.address}/#guests`)
    await guest.page.getByText('The address that npm start printed in its terminal carries a key').waitFor()
    t.ok(await guest.page.locator('#break-all').isDisabled())
    t.match(await guest.page.locator('.steps').textContent(), /Restart.*Kill.*Cut/s)
    const authorization = `Bearer ${await demo.token('guest')}`
    const headers = { authorization, 'content-type': 'application/json' }
    const body = JSON.stringify({ action: 'restart' })
    t.equal((await fetch(`${demo.address}/api/break`, { method: 'POST', headers, body })).status, 403)
  })

  await whole.test('on a phone all of it is in sight: the board, the button, the counts, the timeline', async (t) => {
    const phone = await visitors.open(t, board('phone'), { ...PHONE, ...MOVING })
    await untilGuideDraws(phone)
    for (const part of [
      '#status',
      '#user',
      '#people',
      '#home',
      '#break-all',
      '[data-count="lost"]',
      '[data-count="doubled"]',
      '#strip',
      '#undo'
    ]) {
      const box = await phone.page.locator(part).boundingBox()
      t.ok(box && box.x >= 0 && box.y >= 0 && box.x + box.width <= 390 && box.y + box.height <= 844, part)
    }
    const { x, y, width, height } = await phone.box()
    // Two fingers move and zoom the board, and draw nothing.
    await phone.page.locator('#break-title').tap()
    await phone.person('Guide', false)
    const before = await phone.strokes()
    const touch = await phone.page.context().newCDPSession(phone.page)
    const send = (type: 'touchStart' | 'touchMove' | 'touchEnd', apart?: number) => {
      const points = [-1, 1].map((side, id) => ({ x: x + width / 2 + side * (apart ?? 0), y: y + height / 2, id }))
      return touch.send('Input.dispatchTouchEvent', { type, touchPoints: apart === undefined ? [] : points })
    }
    await send('touchStart', 30)
    for (const apart of [40, 50, 60]) await send('touchMove', apart)
    await send('touchEnd')
    t.equal(await phone.page.locator('#zoom-home').textContent(), '200%')
    await phone.page.locator('#zoom-home').tap()
    t.equal(await phone.page.locator('#zoom-home').textContent(), '100%')
    t.equal(await phone.strokes(), before)
  })

  await whole.test('one drag is one stroke, for all counts', async (t) => {
    const [ada, grace] = await Promise.all([
      visitors.open(t, board('drag'), { user: 'Ada' }),
      visitors.open(t, board('drag'), { user: 'Grace' })
    ])
    const { pieces, until } = await observe(t, 'drag')
    const pill = await grace.watchPill()
    await grace.page.context().setOffline(true)
    await grace.status('offline')
    const { x, y, width, height } = await ada.box()
    await ada.page.mouse.move(x, y + height / 2)
    await ada.page.mouse.down()
    // More points than a piece holds.
    await ada.page.mouse.move(x + width, y + height / 2, { steps: 450 })
    await ada.page.mouse.up()
    await ada.untilUnsent(0)
    await until(() => pieces.length > 1)
    t.equal(await ada.strokes(), 1)
    t.equal(await ada.page.locator('#count').textContent(), '1')
    await grace.page.context().setOffline(false)
    await pill.said(/^Recovered, 1 missed stroke$/)
    await grace.untilStrokes(1)
    await ada.page.getByRole('button', { name: 'Clear the board' }).click()
    await ada.page.getByRole('button', { name: 'Clear', exact: true }).click()
    await ada.event('Cleared 1 stroke')
  })

  await whole.test('the board moves under the hand, and what is drawn beyond the sheet is there for all', async (t) => {
    const [ada, grace] = await Promise.all([visitors.open(t, board('far')), visitors.open(t, board('far'))])
    const { x, y, width, height } = await ada.box()
    await ada.page.keyboard.down('Space')
    await ada.page.mouse.move(x + width / 2, y + height / 2)
    await ada.page.mouse.down()
    await ada.page.mouse.move(x + width / 2, y + height / 2 - 200, { steps: 3 })
    await ada.page.mouse.up()
    await ada.page.keyboard.up('Space')
    t.equal(await ada.strokes(), 0, 'the hand draws nothing')
    const moved = await ada.box()
    t.ok(Math.abs(moved.y - (y - 200)) < 1)
    await ada.draw(1.1)
    await ada.ink(1.1)
    await ada.page.mouse.wheel(0, -200)
    await ada.page.keyboard.press('-')
    t.equal(await ada.page.locator('#zoom-home').textContent(), '80%')
    await grace.page.getByRole('button', { name: 'Zoom out' }).click()
    await grace.page.getByRole('button', { name: 'Zoom out' }).click()
    await grace.ink(1.1)
    await grace.page.getByRole('button', { name: 'Show the whole sheet' }).click()
    t.same((await grace.box()).width, width)
  })

  await whole.test('a cursor goes with its owner', async (t) => {
    const [ada, grace] = await Promise.all([
      visitors.open(t, board('cursors'), { user: 'Ada' }),
      visitors.open(t, board('cursors'), { user: 'Grace' })
    ])
    await grace.person('Ada')
    const { x, y, width, height } = await ada.box()
    await ada.page.mouse.move(x + width / 2, y + height / 2)
    await grace.page.locator('#names [data-user="Ada"]').waitFor({ state: 'attached' })
    await ada.page.close()
    await grace.person('Ada', false)
    await grace.page.locator('#names [data-user="Ada"][data-shown]').waitFor({ state: 'detached' })
  })

  await whole.test('the one button: restart, kill and cut while a line is drawn, and nothing is lost', async (t) => {
    const ada = await visitors.open(t, board('broken'), { user: 'Ada' })
    const { pieces, until } = await observe(t, 'broken')
    await ada.page.locator('#break-all').click()
    await ada.page.locator('.steps [data-step="restart"] .workers li', { hasText: 'starts' }).first().waitFor()
    // The visitor draws, too.
    await ada.draw(0.5)
    const result = ada.page.locator('#break-result')
    await ada.until(`() => document.getElementById('break-result').textContent !== ''`, PATIENCE)
    t.equal(await result.textContent(), 'Done. Every piece of the line is on the board, and once.')
    const counts = await ada.page.locator('.counts dd').allTextContents()
    t.same(counts, ['0', '0'])
    t.match(await ada.page.locator('.checked').textContent(), /^\d{3,} pieces of lines and marks checked$/)
    t.same(
      await ada.page.evaluate(`[...document.querySelectorAll('.steps > li')].map(({ dataset }) => dataset.state)`),
      ['done', 'done', 'done']
    )
    const chips = await ada.page.locator('.steps .workers li').allTextContents()
    t.match(chips, [/^worker 1 → 3$/, /^worker 2 → 4$/, /^worker [34] → 5$/])
    await ada.page.locator('.marks [data-mark="done"]').waitFor({ state: 'attached' })
    const marks = await ada.page.locator('.marks li').allTextContents()
    t.same(
      marks.filter((mark) => !mark.startsWith('worker')),
      ['restart of all workers', 'SIGKILL of one worker', 'connections cut', 'end']
    )
    t.equal(marks.length, 7)
    t.match(await ada.page.locator('.lanes .gap').allTextContents(), [/^gap [\d.]+ m?s$/, /^gap [\d.]+ m?s$/])
    for (const text of ['The server restarts', 'Connection closed']) await ada.event(text)

    await ada.untilUnsent(0)
    await ada.person('Guide', false)
    const ids = () => pieces.map(({ id = '' }) => id)
    // Every piece of both lines is on the channel: 0, 1, 2 and on, and none twice.
    const shown = await ada.page.evaluate<number>(`Number(document.querySelector('#count').textContent)`)
    t.equal(shown, 2)
    await until(() => new Set(ids().map((id) => id.split('.')[0])).size === 2)
    t.equal(new Set(ids()).size, ids().length)
    for (const line of new Set(ids().map((id) => id.split('.')[0]))) {
      const parts = ids().filter((id) => id.startsWith(`${line}.`))
      t.same(
        parts.map((id) => Number(id.split('.')[1])).sort((a, b) => a - b),
        parts.map((_, at) => at)
      )
    }
    t.comment({ marks, counts, pieces: pieces.length, gaps: await ada.page.locator('.lanes .gap').allTextContents() })
  })

  whole.same(visitors.faults, [], 'no error in any page')
  whole.equal((await demo.end()).code, 0)
  whole.same(
    demo.logs.filter(({ level }) => level >= 50),
    []
  )
})
