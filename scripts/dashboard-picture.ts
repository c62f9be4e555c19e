// Takes the pictures of the dashboard, in an application with two nodes. The charts look back ten minutes, so a crowd
// of clients talks for as long.
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { WebSocket } from 'ws'
import { ForeignNode } from '../test/support/foreign-node.ts'
import { freePort, RedisServer } from '../test/support/redis-server.ts'

const NAMES = ['ada', 'grace', 'linus', 'margaret', 'barbara', 'edsger', 'alan', 'katherine', 'dennis', 'radia', 'ken']
const ROOMS = ['tea', 'coffee', 'standup', 'lunch', 'music', 'chess']
const CROWD = 84
// Milliseconds.
const WINDOW = 600_000
const RESTART_AT = 400_000
const PAUSE = { least: 400, most: 2_600 }
const DESKTOP = { viewport: { width: 1440, height: 1250 } }
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }

const SCHEMES = ['light', 'dark'] as const
// So much that a reader who reads nothing falls behind.
const LONG = 'x'.repeat(6_000)

type Disposal = { teardown(fn: () => unknown): void }

/** Draws `dashboard.png`, `dashboard-channels.png` and `dashboard-phone.png`, by day and by night. Takes ten minutes. */
export async function dashboardPicture(disposal: Disposal, browser: Browser, folder: string): Promise<string[]> {
  const redis = await RedisServer.start(disposal as never)
  const port = await freePort()
  const start = (name: string, at = 0) => ForeignNode.start(disposal, { redis: redis.url, name, port: at })
  const nodes = await Promise.all([start('eu-1'), start('eu-2', port)])
  // They see what becomes of a node that restarts.
  const pages = await Promise.all(
    SCHEMES.map((colorScheme) => open(browser, nodes[0] as ForeignNode, { ...DESKTOP, colorScheme }))
  )
  let isOver = false
  const guests = Array.from({ length: CROWD }, async (_, at) => {
    // They come in no order, for lines that rise; some go, and a few are not let in.
    await pause(Math.random() * WINDOW * 0.6)
    if (at % 28 === 1) return knock(nodes[0] as ForeignNode)
    const leavesAt = at % 5 === 1 ? performance.now() + Math.random() * WINDOW * 0.3 : Number.POSITIVE_INFINITY
    while (!isOver && performance.now() < leavesAt) await visit(disposal, nodes[at % 2] as ForeignNode, at, leavesAt)
  })
  const restarted = pause(RESTART_AT).then(async () => {
    nodes[1]?.kill('SIGTERM')
    await nodes[1]?.ended
    nodes[1] = await start('eu-2', port)
  })
  await Promise.all([restarted, pause(WINDOW)])
  isOver = true
  void Promise.allSettled(guests)
  return shoot(browser, nodes[0] as ForeignNode, pages, folder)
}

async function shoot(browser: Browser, node: ForeignNode, pages: readonly Page[], folder: string): Promise<string[]> {
  const taken: string[] = []
  for (const [at, desktop] of pages.entries()) {
    const colorScheme = SCHEMES[at]
    const shot = async (page: Page, name: string) => {
      const file = `${name}${colorScheme === 'dark' ? '-dark' : ''}.png`
      await page.screenshot({ path: join(folder, file) })
      taken.push(file)
    }
    await shot(desktop, 'dashboard')
    await desktop.getByRole('tab', { name: 'Channels' }).click()
    await desktop.locator('#channels tbody tr').first().waitFor()
    // Rates and histories come with the next answers.
    await pause(6_000)
    await shot(desktop, 'dashboard-channels')
    await shot(await open(browser, node, { ...PHONE, colorScheme }), 'dashboard-phone')
  }
  return taken
}

async function open(browser: Browser, node: ForeignNode, options: object): Promise<Page> {
  const context = await browser.newContext(options)
  const [name = '', value = ''] = (await node.login('root', 'admin')).split(/=(.*)/s)
  await context.addCookies([{ name, value, url: node.address }])
  const page = await context.newPage()
  await page.goto(`${node.address}/admin/dashboard`)
  await page.locator('#status[data-status="connected"]').waitFor()
  await pause(3_000)
  return page
}

/** A guest talks until the connection ends, and comes back. One of them reads slowly. */
async function visit(disposal: Disposal, node: ForeignNode, at: number, leavesAt: number): Promise<void> {
  try {
    const socket = await node.join(disposal, pick(NAMES, at), pick(ROOMS, at))
    const ended = new Promise((resolve) => socket.once('close', resolve))
    const more = pick(ROOMS, at) === 'music' ? LONG : ''
    const timer = talk((text) => socket.send(JSON.stringify({ text, more })))
    const isSlow = at === 10
    if (isSlow) socket.pause()
    await Promise.race([ended, pause(Math.max(0, Math.min(leavesAt, performance.now() + WINDOW) - performance.now()))])
    clearInterval(timer)
    socket.close(1000)
  } catch {
    // The node restarts.
  }
  await pause(1_000 + Math.random() * 3_000)
}

/** Comes without a session. */
async function knock(node: ForeignNode): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = new WebSocket(`${node.address.replace('http', 'ws')}/api/chat/tea`)
    socket.on('error', () => resolve())
    socket.on('close', () => resolve())
  })
}

/** Says something at intervals of its own. */
function talk(say: (text: string) => void): NodeJS.Timeout {
  let said = 0
  return setInterval(() => say(`message ${++said}`), PAUSE.least + Math.random() * (PAUSE.most - PAUSE.least))
}

function pick(list: readonly string[], at: number): string {
  return list[at % list.length] as string
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
