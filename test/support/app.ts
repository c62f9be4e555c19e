import jwt, { type FastifyJWTOptions } from '@fastify/jwt'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import realtime from '../../lib/index.ts'
import type { RealtimeOptions } from '../../lib/options/options.ts'
import { disposeAll, testSecret } from '../../lib/testing/index.ts'
import { destroyRawSockets } from './raw-socket.ts'

/** One line of pino's, parsed. */
export interface LogLine {
  level: number
  msg?: string
  [key: string]: unknown
}

export interface BuildOptions {
  /** `false` leaves @fastify/jwt out. @default HS256 with the secret that `testToken(claims)` signs with */
  jwt?: FastifyJWTOptions | false
  /** Fastify's own options; `logger` is taken. */
  fastify?: Omit<FastifyServerOptions, 'logger' | 'loggerInstance'>
  /** Called before the plugin is registered: for what the application may have registered already. */
  before?: (app: FastifyInstance) => unknown
}

export interface TestApp {
  app: FastifyInstance
  /** Everything logged so far, at every level. */
  logs: LogLine[]
}

export const levels = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const

/**
 * An app with the plugin, to declare routes on and `connect` to. It is closed with the test, past its drain: what
 * `connect` and `rawUpgrade` opened is closed first.
 */
export async function buildApp(
  t: { teardown(fn: () => unknown): void },
  options: RealtimeOptions = {},
  more: BuildOptions = {}
): Promise<TestApp> {
  const logs: LogLine[] = []
  const stream = { write: (line: string) => void logs.push(JSON.parse(line)) }
  const app = Fastify({ ...more.fastify, logger: { level: 'trace', stream } })
  t.teardown(async () => {
    const address = app.server.address()
    if (address !== null && typeof address === 'object') destroyRawSockets(address.port)
    await disposeAll(app)
    await app.close()
  })
  if (more.jwt !== false) await app.register(jwt, more.jwt ?? { secret: testSecret })
  await more.before?.(app)
  await app.register(realtime, options)
  return { app, logs }
}

/** The lines at a level or above it. */
export function atLeast(logs: readonly LogLine[], level: keyof typeof levels): LogLine[] {
  return logs.filter((line) => line.level >= levels[level])
}

/**
 * Fails when a token, or its signature alone, stands anywhere in what is given: log lines, a response, a close reason, a
 * metrics page.
 */
export function holdsNoToken(
  t: { notOk(value: unknown, message: string): unknown },
  token: string,
  ...places: readonly unknown[]
): void {
  const signature = token.slice(token.lastIndexOf('.') + 1)
  const text = JSON.stringify(places)
  const at = text.indexOf(signature)
  t.notOk(at !== -1 && text.slice(Math.max(0, at - 200), at), 'no token stands where others may read it')
}
