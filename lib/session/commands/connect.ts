import { stringify } from '../../input/stringify.ts'
import type { ConnectGrant } from '../../options/hooks.ts'
import type { Claims } from '../../options/options.ts'
import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import { DISCONNECT, type Disconnect, disconnectFor } from '../../protocol/disconnect-codes.ts'
import { connectResult, refreshResult } from '../../protocol/replies.ts'
import { timeToLive } from '../../timing/time-to-live.ts'
import type { Verified } from '../services.ts'
import type { Session } from '../session.ts'
import type { CommandOf } from './command.ts'
import { refuseUnsafeIntegers } from './payload.ts'
import { answerOf, plainOnly } from './permission.ts'
import { prepareAtConnect } from './server-subscriptions.ts'

// What this server calls itself to its clients. Its version is nobody's business.
const VERSION = 'fastify-realtime'
// Pings come a tenth later than their interval at most.
const LATEST_PING = 1.1

/** `connect`: who the client is, and what the server has for it. */
export async function connect(session: Session, command: CommandOf<'connect'>, text: string): Promise<void> {
  const { request } = command
  plainOnly(command.request)
  refuseUnsafeIntegers(text, 'connect')
  const { services, connection } = session
  const verified = await authenticate(session, request.token)
  if (session.closed) return
  const { data, name, version } = request
  if (verified !== undefined) await become(session, verified)
  const context = { ...session.client(), data, name, version }
  const grant = answerOf(await services.deadline.wait(services.hooks.onConnect?.(context))) ?? {}
  if (session.closed) return
  session.info = infoOf(session.user, grant)
  const welcome = grant.data === undefined ? undefined : stringify(grant.data)
  const subscriptions = await prepareAtConnect(session, grant.subscriptions ?? [], request.subs)
  if (session.closed) return
  const result = connectResult({
    client: connection.id,
    version: VERSION,
    // Only a client that came with a token in `connect` can come with another.
    ttl: timeToLive(verified?.claims.exp),
    ping: Math.max(1, Math.ceil((connection.settings.heartbeat.interval * LATEST_PING) / 1000)),
    data: welcome,
    subs: new Map(subscriptions.map((subscription) => [subscription.channel, subscription.result()]))
  })
  session.reply(command, result)
  session.sendReplies()
  for (const subscription of subscriptions) subscription.begin()
  // If publications of one of them were lost in the meantime, that has ended the connection.
  if (!session.closed) session.connected()
}

/** The token that came with `connect`; undefined if the handshake's is enough, or none is needed. */
async function authenticate(session: Session, token: string): Promise<Verified | undefined> {
  const { services, request, user } = session
  if (!services.authenticated) return undefined
  if (token === '') {
    if (user === null) throw new ChannelError(ERROR.unauthorized.code)
    return undefined
  }
  const verdict = await services.verify(token, request, 'connection')
  if ('fault' in verdict) {
    if (verdict.fault === 'invalid') throw disconnection(DISCONNECT.invalidToken)
    throw new ChannelError(verdict.fault === 'expired' ? ERROR.tokenExpired.code : ERROR.internal.code)
  }
  if (user !== null && verdict.claims.sub !== user.sub) throw disconnection(DISCONNECT.invalidToken)
  return verdict
}

async function become(session: Session, verified: Verified): Promise<void> {
  const { services, request } = session
  if (session.user === null && !(await services.admit(request, verified.claims))) {
    throw disconnection(DISCONNECT.connectionLimit)
  }
  if (session.closed) return
  identify(session, verified)
}

/** The connection is the token's owner's, who may have been disconnected while the token was verified. */
function identify(session: Session, { claims, adopt }: Verified): void {
  const dismissal = adopt(session.user === null ? session.connection.id : undefined)
  if (dismissal !== undefined) throw disconnection(disconnectFor(dismissal))
  session.connection.identify(claims, expiryOf(session, claims))
}

function expiryOf({ services: { wheel } }: Session, { exp }: Claims): number {
  return exp === undefined ? Number.POSITIVE_INFINITY : wheel.now() + exp * 1000 - Date.now()
}

function infoOf(user: Claims | null, { info = user?.info }: ConnectGrant): string | undefined {
  return info === undefined ? undefined : stringify(info)
}

function disconnection({ code, reason }: Disconnect): ChannelError {
  return new ChannelError(code, reason)
}

/** `refresh`: the client comes with a new token before the old one expires. */
export async function refresh(session: Session, command: CommandOf<'refresh'>): Promise<void> {
  const { services, request, user, connection } = session
  if (!services.authenticated) throw new ChannelError(ERROR.notAvailable.code)
  const verdict = await services.verify(command.request.token, request, 'connection')
  if ('fault' in verdict) throw refreshError(verdict.fault)
  const { claims } = verdict
  if (claims.sub !== user?.sub) throw new ChannelError(ERROR.permissionDenied.code)
  if (session.closed) return
  identify(session, verdict)
  session.reply(command, refreshResult(connection.id, VERSION, timeToLive(claims.exp)))
}

/** Nothing is lost yet: the connection lives until its old token expires, and the client may try again. */
function refreshError(fault: 'expired' | 'invalid' | 'unavailable'): ChannelError {
  if (fault === 'invalid') return new ChannelError(ERROR.unauthorized.code)
  if (fault === 'unavailable') return new ChannelError(ERROR.internal.code)
  return new ChannelError(ERROR.tokenExpired.code, undefined, { temporary: true })
}
