// Takes the README's pictures of the dashboard. The charts look back three minutes, so it needs a crowd of clients that
// talks for as long.
import { once } from 'node:events'
import { join } from 'node:path'
import { Centrifuge } from 'centrifuge'
import type { Browser, Page } from 'playwright-core'
import { WebSocket } from 'ws'
import { subprotocols } from '../lib/client/index.ts'

const NAMES = ['ada', 'grace', 'linus', 'margaret', 'barbara', 'edsger', 'alan', 'katherine', 'dennis', 'radia', 'ken']
const ROOMS = ['tea', 'coffee', 'standup']
const CROWD = 72
// Milliseconds.
const WINDOW = 180_000
const PAUSE = { least: 400, most: 2_600 }

/** Ends a guest's connection as guests do. */
type Leave = () => void

/**
 * Draws `dashboard.png` and `dashboard-dark.png` into a folder, after three minutes.
 *
 * @param key The demo's administrator key
 */
export async function dashboardPicture(
  browser: Browser,
  { address, key, folder }: { address: string; key: string; folder: string }
): Promise<void> {
  const leaving = new Set<Leave>()
  const dashboard = `${address}/dashboard#key=${key}`
  try {
    const [light, dark] = await Promise.all([open(browser, dashboard, 'light'), open(browser, dashboard, 'dark')])
    const guests = Array.from({ length: CROWD }, async (_, at) => {
      // They come in no order, for lines that rise; some go, and two are not let in.
      await pause(Math.random() * WINDOW * 0.6)
      if (at % 36 === 1) return knock(address)
      const leave = await (at % 3 === 0 ? joinChannels : joinRoom)(address, pick(NAMES, at), pick(ROOMS, at))
      leaving.add(leave)
      if (at % 5 !== 1) return
      await pause(Math.random() * WINDOW * 0.35)
      leaving.delete(leave)
      leave()
    })
    await Promise.all([...guests, pause(WINDOW)])
    await light.screenshot({ path: join(folder, 'dashboard.png') })
    await dark.screenshot({ path: join(folder, 'dashboard-dark.png') })
  } finally {
    for (const leave of leaving) leave()
  }
}

async function open(browser: Browser, dashboard: string, colorScheme: 'light' | 'dark'): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1330 }, colorScheme })
  const page = await context.newPage()
  await page.goto(dashboard)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.locator('#connections tbody tr').first().waitFor()
  return page
}

async function joinRoom(address: string, user: string, room: string): Promise<Leave> {
  const socket = new WebSocket(socketAddress(address, `/ws/rooms/${room}`), subprotocols(await tokenOf(address, user)))
  await once(socket, 'open')
  const timer = talk((text) => socket.send(JSON.stringify({ text })))
  return () => {
    clearInterval(timer)
    socket.close(1000)
  }
}

async function joinChannels(address: string, user: string, room: string): Promise<Leave> {
  const token = await tokenOf(address, user)
  const client = new Centrifuge(socketAddress(address, '/connection/websocket'), { websocket: WebSocket, token })
  const subscription = client.newSubscription(`rooms/${room}`)
  subscription.subscribe()
  client.connect()
  await subscription.ready()
  const timer = talk((text) => void subscription.publish({ text }).catch(() => clearInterval(timer)))
  return () => {
    clearInterval(timer)
    client.disconnect()
  }
}

/** Comes with a token that is none. */
async function knock(address: string): Promise<void> {
  const socket = new WebSocket(socketAddress(address, '/ws/json'), subprotocols('none'))
  await once(socket, 'error')
}

function talk(say: (text: string) => void): NodeJS.Timeout {
  const { least, most } = PAUSE
  return setInterval(() => say('the kettle boils'), least + Math.random() * (most - least))
}

async function tokenOf(address: string, user: string): Promise<string> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${address}/api/token`, { method: 'POST', headers, body: JSON.stringify({ user }) })
  return ((await response.json()) as { token: string }).token
}

function socketAddress(address: string, path: string): string {
  return address.replace('http', 'ws') + path
}

function pick(list: readonly string[], at: number): string {
  return list[at % list.length] as string
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
