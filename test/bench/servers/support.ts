import type { AddressInfo, Server } from 'node:net'
import { testToken } from 'fastify-realtime/testing'
import type { Greeting } from '../load/connection.ts'

/*
 * What each server of the benchmark has in common: it listens on a port of its own, tells the runner, and answers the
 * runner's questions over Node's IPC channel.
 */

/** Connections that may wait to be accepted. */
export const BACKLOG = 4096
export const HOST = '127.0.0.1'
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

const numbered = (count: number) => Array.from({ length: count }, (_, n) => `storm/${n}`)
/** What is there to come back to: channels, and the publications that each has kept. */
export const STORM = { channels: numbered(1_000), kept: 10 }

/** What a client of the channel protocol says first, subscribed to these channels. */
export function channelGreeting(...channels: readonly string[]): Greeting {
  const token = testToken({ sub: 'bench' }, { secret: SECRET })
  const commands = channels.map((channel, at) => ({ id: at + 2, subscribe: { channel } }))
  const texts = [{ id: 1, connect: { token } }, ...commands].map((command) => JSON.stringify(command))
  return { texts, answers: texts.length }
}

export type ServerQuestion = 'memory' | 'cpu'
export interface ServerAnswer {
  /** Bytes of resident memory, after two collections. */
  readonly memory?: number
  /** CPU seconds of the process. */
  readonly cpu?: number
}

/** Call it once the server listens. */
export function listening(server: Server): void {
  process.on('disconnect', () => process.exit())
  process.on('message', (question: ServerQuestion) => process.send?.(answer(question)))
  process.send?.({ port: (server.address() as AddressInfo).port })
}

function answer(question: ServerQuestion): ServerAnswer {
  if (question === 'cpu') {
    const { user, system } = process.cpuUsage()
    return { cpu: (user + system) / 1e6 }
  }
  const { gc } = globalThis as { gc?: () => void }
  gc?.()
  gc?.()
  return { memory: process.memoryUsage.rss() }
}
