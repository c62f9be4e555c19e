import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import tap, { type Test, test } from 'tap'
import { launchBrowser } from '../../support/browser.ts'
import { DemoProcess } from '../../support/demo.ts'
import { PHONE, Visitors, type Whiteboard } from '../../support/whiteboard.ts'

/* The whiteboard on a phone, by keyboard, in the dark, and for those who can't see it. */

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

// For machines that do other things meanwhile; it takes a tenth of it.
const PATIENCE = 240_000

tap.setTimeout(PATIENCE)

/** Whatever axe finds wrong with the page as it is now. */
async function isAccessible(t: Test, { page }: Whiteboard, message: string): Promise<void> {
  // Evaluated by the debugger: the page's own policy lets no script in.
  await page.evaluate(axe)
  const { violations, passes } = await page.evaluate<AxeResults>('axe.run()')
  t.ok(passes.length > 10, 'it was looked at')
  const found = violations.map(({ id, nodes }) => ({ id, where: nodes.map(({ target }) => target.join(' ')) }))
  t.same(found, [], message)
}

test('the whiteboard is within everybody’s reach', { timeout: PATIENCE }, async (whole) => {
  const browser = await launchBrowser()
  whole.teardown(() => browser.close())
  const visitors = new Visitors(browser)
  const demo = await DemoProcess.start(whole, { JWT_SECRET: 'the secret of a demo that is looked at' })
  const key = await demo.adminKey()
  const board = (name: string) => `${demo.address}/#${name}&key=${key}`

  await whole.test('on a phone: all of it within reach, sharp, and drawn on by touch', async (t) => {
    const [phone, desktop] = await Promise.all([
      visitors.open(t, board('phone'), PHONE),
      visitors.open(t, board('phone'), { user: 'Somebody with a name of some length' })
    ])
    await phone.person('Somebody with a name of some length')
    const [width, overflow, ratio] = await phone.page.evaluate<number[]>(`{
      const { width, clientWidth } = document.getElementById('ink')
      const page = document.documentElement;
      [clientWidth, page.scrollWidth - page.clientWidth, width / clientWidth]
    }`)
    t.ok(Number(width) > 340, `the board is ${width} pixels wide`)
    t.equal(overflow, 0)
    t.ok(Math.abs(Number(ratio) - 3) < 0.02, `${ratio} pixels each`)
    for (const name of ['Ink', 'Eraser', 'Fine', 'Marker', 'Undo', 'Clear the board']) {
      const box = await phone.page.getByLabel(name, { exact: true }).boundingBox()
      t.ok(box && box.width >= 44 && box.height >= 44 && box.y + box.height < 844, `${name} can be tapped`)
    }
    await phone.page.getByLabel('Marker').tap()
    const { x, y, width: across, height: down } = await phone.box()
    await phone.page.touchscreen.tap(x + across / 2, y + down / 2)
    await phone.ink(0.5)
    await desktop.ink(0.5)
    await phone.page.getByLabel('Undo').tap()
    await desktop.ink(0.5, false)

    // A finger that moves draws, and the page stays where it is.
    const touch = await phone.page.context().newCDPSession(phone.page)
    const send = (type: 'touchStart' | 'touchMove' | 'touchEnd', part?: number) => {
      const touchPoints = part === undefined ? [] : [{ x: x + across * part, y: y + down / 4 }]
      return touch.send('Input.dispatchTouchEvent', { type, touchPoints })
    }
    await send('touchStart', 0.1)
    for (const part of [0.3, 0.5, 0.7, 0.9]) await send('touchMove', part)
    await send('touchEnd')
    await desktop.ink(0.25)
    t.equal(await phone.page.evaluate('scrollY'), 0)
  })

  await whole.test('by keyboard: each control in turn, and a line by arrows and space', async (t) => {
    const [ada, grace] = await Promise.all([visitors.open(t, board('keys')), visitors.open(t, board('keys'))])
    const { keyboard } = ada.page
    await ada.page.locator('#board').focus()
    const seen: string[] = []
    for (let i = 0; i < 7; i++) {
      seen.push(await ada.page.evaluate<string>('document.activeElement.id || document.activeElement.name'))
      await keyboard.press('Tab')
    }
    for (const name of ['board', 'user', 'pad', 'colour', 'width']) t.ok(seen.includes(name), name)

    await ada.page.getByLabel('Ink', { exact: true }).focus()
    await keyboard.press('ArrowRight')
    t.ok(await ada.page.getByLabel('Red').isChecked())
    await keyboard.press('Shift+Tab')
    t.ok(await ada.page.locator('#crosshair').isVisible())
    t.ok(await ada.page.getByText('puts the pen down').isVisible())
    for (let i = 0; i < 5; i++) await keyboard.press('Shift+ArrowLeft')
    await keyboard.press('Space')
    t.equal(await ada.page.locator('#said').textContent(), 'Pen down at 20 across, 50 down')
    for (let i = 0; i < 10; i++) await keyboard.press('Shift+ArrowRight')
    await grace.ink(0.5)
    await keyboard.press('Enter')
    t.equal(await ada.page.locator('#said').textContent(), 'Pen up at 80 across, 50 down')
    await keyboard.press('ArrowUp')
    await ada.untilUnsent(0)
    await grace.untilStrokes(await ada.strokes())
    await keyboard.press('Control+z')
    await grace.ink(0.5, false)

    await keyboard.press('Space')
    await keyboard.press('Escape')
    await keyboard.press('Shift+ArrowLeft')
    await keyboard.press('Tab')
    t.notOk(await ada.page.locator('#crosshair').isVisible())
    await ada.untilUnsent(0)
    await grace.untilStrokes(1)
    await ada.page.getByLabel('Clear the board', { exact: true }).focus()
    await keyboard.press('Enter')
    await keyboard.press('Tab')
    await keyboard.press('Enter')
    await grace.untilStrokes(0)
  })

  await whole.test('in the dark the same ink is another colour, and changes with the day', async (t) => {
    const page = await visitors.open(t, board('dark'), { colorScheme: 'dark' })
    await page.draw(0.5)
    await page.ink(0.5)
    const lightness = `(() => {
      const canvas = document.getElementById('ink')
      const { left, top, width, height } = document.getElementById('home').getBoundingClientRect()
      const ratio = canvas.width / canvas.clientWidth
      return canvas.getContext('2d').getImageData((left + width / 2) * ratio, (top + height / 2) * ratio, 1, 1).data[0]
    })()`
    await page.until(`() => ${lightness} > 200`)
    await page.page.emulateMedia({ colorScheme: 'light' })
    await page.until(`() => ${lightness} < 60`)
    t.pass('light ink by night, dark ink by day')
  })

  await whole.test(
    'axe finds nothing wrong: by day, by night, on a phone, with the panel and the dialog',
    async (t) => {
      const looks = { light: {}, dark: { colorScheme: 'dark' }, phone: PHONE } as const
      for (const [name, options] of Object.entries(looks)) {
        const page = await visitors.open(t, board('museum'), options)
        await isAccessible(t, page, name)
        // Somebody else, something refused, and the help of who draws by keyboard.
        const other = await visitors.open(t, board('museum'), { user: 'Grace' })
        await page.person('Grace')
        await page.page.locator('#pad').focus()
        await page.page.keyboard.press('ArrowUp')
        await page.page.keyboard.press('Space')
        await page.page.keyboard.press('Space')
        await page.page.getByRole('alert').waitFor()
        await page.page.locator('.more summary').click()
        await page.page.locator('[data-action="garbage"]').click()
        await page.page.locator('#break output p', { hasText: 'lost 0' }).waitFor()
        await isAccessible(t, page, `${name}, with the panel`)
        await page.page.getByLabel('Clear the board', { exact: true }).click()
        await page.page.getByRole('dialog').waitFor()
        await isAccessible(t, page, `${name}, with the dialog`)
        await other.page.context().close()
        await page.page.context().close()
      }
    }
  )

  whole.same(visitors.faults, [], 'no error in any page')
})
