import { EventEmitter } from 'node:events'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { MemoryBroker } from '../../lib/broker/memory/memory-broker.ts'
import { Admission } from '../../lib/handshake/admission.ts'
import { Dismissals } from '../../lib/handshake/dismissals.ts'
import { Handshake } from '../../lib/handshake/handshake.ts'
import { Places } from '../../lib/handshake/places.ts'
import { REDACTED } from '../../lib/handshake/redaction.ts'
import { Refusals } from '../../lib/handshake/refusal.ts'
import { kRoute, type Route } from '../../lib/handshake/route.ts'
import { DEFAULTS, type ResolvedAuth, type RouteSettings } from '../../lib/options/options.ts'
import { parseOffer } from '../../lib/protocol/subprotocol.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

/* What decides on handshakes, without handshakes: requests and replies are objects that tell what was done to them. */

export const NONE = Number.POSITIVE_INFINITY
/** A minute from now, in seconds since 1970. */
export const exp = () => Date.now() / 1000 + 60

export interface RigOptions {
  limits?: { total?: number; perAddress?: number; perUser?: number }
  route?: Partial<Omit<Route, 'settings'>> | false
  settings?: Partial<RouteSettings>
  auth?: Partial<ResolvedAuth> | false
}

/** A request for an upgrade, as good as can be; a test makes it worse. */
export interface Knock {
  headers?: Record<string, string | undefined>
  /** What it offers. @default realtime.v1, bearer.ada */
  protocols?: string
  /** A token that stood in its URL. */
  urlToken?: string
  /** A plain request, not an upgrade. */
  plain?: boolean
}

/** Tokens are their owners’ names, but for `bad` and `expired`. */
export async function rig(
  t: { teardown(fn: () => unknown): void },
  { limits, route, settings, auth }: RigOptions = {}
) {
  const broker = new MemoryBroker()
  await broker.start({ publication() {}, presence() {}, dropped() {}, state() {}, audit() {} })
  t.teardown(() => broker.close())
  const state = { draining: false }
  const refused: string[] = []
  const upgrades: unknown[] = []
  const logged: unknown[] = []
  let count = 0
  const server = {
    options: { maxPayload: 104_857_600 },
    handleUpgrade: (_raw: unknown, stream: unknown, _head: unknown, done: (socket: unknown) => void) => {
      const close = (code: number, reason: string) => upgrades.push([stream, code, reason])
      done({ close })
    }
  }
  const wheel = new TimerWheel(new FakeClock(5_000), 50)
  const dismissals = new Dismissals(() => wheel.now(), 60_000)
  const refusals = new Refusals({
    server: server as never,
    wheel,
    log: { info: (...args: unknown[]) => void logged.push(args) } as never,
    retryAfter: () => 7,
    refused: (error) => refused.push(error.code)
  })
  const places = new Places({
    broker,
    wheel,
    evict: () => true,
    limits: { total: NONE, perAddress: NONE, perUser: NONE, ...limits }
  })
  const isDraining = () => state.draining
  const admission = new Admission({ server: server as never, wheel, places, refusals, dismissals, isDraining })
  const verified: string[] = []
  const verify = async (token: string) => {
    verified.push(token)
    if (token === 'expired') throw Object.assign(new Error('x'), { code: 'FAST_JWT_EXPIRED' })
    if (token === 'bad') throw new Error('quotes the token')
    return { sub: token, exp: exp() }
  }
  const declared: Route = {
    kind: 'messages',
    url: '/live',
    settings: {
      ...DEFAULTS,
      origins: undefined,
      ...settings,
      auth: auth === false ? false : { ...(DEFAULTS.auth as ResolvedAuth), verify, ...auth }
    },
    ...(route || {})
  }
  const knock = ({ headers, protocols = 'realtime.v1, bearer.ada', urlToken, plain = false }: Knock = {}) => {
    const all = { 'sec-websocket-version': '13', 'sec-websocket-key': `${'A'.repeat(22)}==`, ...headers }
    const raw = { headers: all }
    const stream = Object.assign(new EventEmitter(), { destroyed: false })
    const handshake = new Handshake({
      begunAt: 0,
      mark: dismissals.mark(),
      id: `socket-${++count}`,
      stream: stream as never,
      head: Buffer.alloc(0),
      offer: parseOffer(protocols === '' ? undefined : protocols),
      urlTokens: urlToken === undefined ? [] : [{ name: 'access_token', value: urlToken }]
    })
    if (!plain) handshake.attachTo(raw as never)
    const request = {
      raw,
      headers: all,
      host: 'app.example',
      ip: '10.0.0.1',
      query: urlToken === undefined ? {} : { access_token: REDACTED, other: 'x' },
      server: { hasRequestDecorator: () => false },
      log: { info: (...args: unknown[]) => void logged.push(args), debug() {} },
      routeOptions: { config: route === false ? {} : { [kRoute]: declared } }
    }
    const answer = {
      headers: {} as Record<string, unknown>,
      hijacked: false,
      statusCode: 200,
      body: undefined as Record<string, unknown> | undefined
    }
    const reply = Object.assign(answer, {
      hijack: () => {
        answer.hijacked = true
        return reply
      },
      hasHeader: (name: string) => name in answer.headers,
      header: (name: string, value: unknown) => {
        answer.headers[name] = value
        return reply
      },
      code: (status: number) => {
        answer.statusCode = status
        return reply
      },
      send: (body: Record<string, unknown>) => {
        answer.body = body
        return reply
      }
    })
    /** Leaves: the stream is gone. */
    const leave = () => {
      stream.destroyed = true
      stream.emit('close')
    }
    const asRequest = request as unknown as FastifyRequest
    const asReply = reply as unknown as FastifyReply
    return {
      handshake,
      request: asRequest,
      reply: asReply,
      answer,
      leave,
      admit: async () => admission.admit(asRequest, asReply)
    }
  }
  return {
    admission,
    broker,
    declared,
    dismissals,
    knock,
    logged,
    refusals,
    refused,
    server,
    state,
    upgrades,
    verified,
    wheel
  }
}
