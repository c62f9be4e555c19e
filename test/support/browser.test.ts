import { test } from 'tap'
import { launchBrowser } from './browser.ts'

test('the browser of the tests starts and runs scripts', async (t) => {
  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  t.equal(await page.evaluate(() => typeof WebSocket), 'function')
})
