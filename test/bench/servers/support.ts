import type { AddressInfo, Server } from 'node:net'
import { getHeapSpaceStatistics } from 'node:v8'
import { testToken } from 'fastify-realtime/testing'
import type { Greeting } from '../load/connection.ts'
import type { Wording } from '../load/generator.ts'

/*
 * What the servers of the benchmark have in common: each listens on a free port, reports it to the runner, and answers
 * the runner's questions over Node's IPC channel.
 */

/** Connections that may wait to be accepted. */
export const BACKLOG = 4096
export const HOST = '127.0.0.1'
/** The channel to which everybody is subscribed. */
export const CHANNEL = 'bench'
/** Signs the tokens of the handshakes. */
export const SECRET = 'bench-secret-bench-secret-bench-secret'
/** The load generator's message. */
export const MESSAGE = {
  type: 'object',
  required: ['ts', 'type', 'room', 'id', 'data'],
  additionalProperties: false,
  properties: {
    ts: { type: 'integer' },
    type: { type: 'string', enum: ['msg'] },
    room: { type: 'string', maxLength: 64 },
    id: { type: 'integer' },
    data: { type: 'string', maxLength: 4096 }
  }
} as const

const numberedAs = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name}/${n}`)
/** Channels with history, and the publications that each keeps. */
export const STORM = { channels: numberedAs('storm', 1_000), kept: 10 }

/** Of the channels that are published to over Redis. */
export const HISTORY = { size: 1_000, ttl: 600_000 }
const PUBLISHED = { channels: numberedAs('many', 64), data: { ts: 1, type: 'msg', text: 'x'.repeat(90) } }
// CPU seconds.
const PUBLISHING = { warmUp: 1, time: 1.5 }

/** What a publisher without clients reached. */
export interface Publishing {
  readonly published: number
  /** Seconds of its process. */
  readonly cpu: number
}

/** Publishes to 64 channels at a time, again and again. */
export async function publishing(
  publish: (channels: readonly string[], data: unknown) => Promise<void>
): Promise<Publishing> {
  const run = async (seconds: number) => {
    const start = process.cpuUsage()
    for (let published = 0; ; published += PUBLISHED.channels.length) {
      const { user, system } = process.cpuUsage(start)
      const cpu = (user + system) / 1e6
      if (cpu >= seconds) return { published, cpu }
      await publish(PUBLISHED.channels, PUBLISHED.data)
    }
  }
  await run(PUBLISHING.warmUp)
  return run(PUBLISHING.time)
}

// Longer than any measurement.
const TOKEN_LIFE = 24 * 3_600_000
const issued: string[] = []

/** One user for each connection. */
export function tokens(count: number): string[] {
  while (issued.length < count) {
    issued.push(testToken({ sub: `user-${issued.length}` }, { secret: SECRET, expiresIn: TOKEN_LIFE }))
  }
  return issued.slice(0, count)
}

/** What clients offer as subprotocol to authenticate. */
export function offers(count: number): string[] {
  return tokens(count).map((token) => `realtime.v1, bearer.${token}`)
}

/** What a client of the channel protocol sends first. It subscribes to these channels. */
export function channelGreeting(token: string, ...channels: readonly string[]): Greeting {
  const commands = channels.map((channel, at) => ({ id: at + 2, subscribe: { channel } }))
  const texts = [{ id: 1, connect: { token } }, ...commands].map((command) => JSON.stringify(command))
  return { texts, answers: texts.length }
}

/** What has to stand around a message that a client of the channel protocol publishes. */
export function channelWording(channel: string): Wording {
  return { before: `{"id":1000,"publish":{"channel":"${channel}","data":`, after: '}}' }
}

/** Answers to the questions of the runner, by question. */
export type Answers = Readonly<Record<string, () => unknown>>

const COMMON: Answers = {
  /** CPU seconds of the process. */
  cpu() {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  },
  /** Bytes of resident memory, after two collections. */
  memory() {
    collect()
    return process.memoryUsage.rss()
  },
  /** Bytes of objects and of buffers, after two collections. */
  heap() {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  },
  /** Bytes of young objects and of buffers. Without a collection in between, its growth is what was allocated. */
  allocated() {
    const young = getHeapSpaceStatistics().filter(({ space_name }) => space_name.startsWith('new_'))
    return young.reduce((sum, { space_used_size }) => sum + space_used_size, process.memoryUsage().external)
  }
}

function collect(): void {
  const { gc } = globalThis as { gc?: () => void }
  gc?.()
  gc?.()
}

/** Call it once the server listens. A server without a port publishes by itself. */
export function listening(server?: Server, more: Answers = {}): void {
  const answers = { ...COMMON, ...more }
  process.on('disconnect', () => process.exit())
  process.on('message', async (question: string) => {
    try {
      process.send?.({ answer: await answers[question]?.() })
    } catch (error) {
      process.send?.({ error: String(error) })
    }
  })
  process.send?.({ port: (server?.address() as AddressInfo | undefined)?.port ?? 0 })
}
