import { type Browser, chromium } from 'playwright-core'
import { chromiumPath } from '../../scripts/requirements.ts'

/** Starts the system's Chromium, headless. The caller closes it: `t.teardown(() => browser.close())`. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath(),
    args: [
      // Chromium's sandbox does not start as root, nor in most containers; the pages are our own.
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      // Nothing but the test's own traffic.
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-quic'
    ]
  })
}
