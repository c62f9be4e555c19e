// Takes the picture of the load tool's report in docs/load.md: half a minute of load on a running demo.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser } from 'playwright-core'
import { root } from './run.ts'

const LOAD = ['--connections', '2000', '--channels', '20', '--rate', '100', '--duration', '30', '--reconnect-storm']

/** Draws `load-report.png` into a folder: the report of half a minute at a demo that runs. */
export async function loadPicture(browser: Browser, address: string, secret: string, folder: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'load-report-'))
  const report = join(directory, 'report.html')
  try {
    const target = address.replace('http', 'ws')
    // Not spawnSync: this process reads the demo's log, and the demo stops once the pipe is full.
    const args = ['--import=./scripts/typescript.js', 'lib/load/main.ts', 'load', target, ...LOAD, '--report', report]
    await once(
      spawn(process.execPath, args, { cwd: root, stdio: 'inherit', env: { ...process.env, JWT_SECRET: secret } }),
      'exit'
    )
    const page = await browser.newPage({ viewport: { width: 1180, height: 1010 } })
    await page.goto(pathToFileURL(report).href)
    await page.screenshot({ path: join(folder, 'load-report.png') })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
