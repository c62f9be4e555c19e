import { stringify } from '../../input/stringify.ts'
import type { ConnectGrant } from '../../options/hooks.ts'
import type { Claims } from '../../options/options.ts'
import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import { DISCONNECT, type Disconnect, disconnectFor } from '../../protocol/disconnect-codes.ts'
import type { Message } from '../../protocol/framing.ts'
import { timeToLive } from '../../timing/time-to-live.ts'
import type { Verified } from '../services.ts'
import type { Session } from '../session.ts'
import type { CommandOf } from './command.ts'
import { refuseUnsafeIntegers } from './payload.ts'
import { hookResult, refuseSpecial } from './permission.ts'
import { prepareAtConnect } from './server-subscriptions.ts'

// The version in replies. It names the server, not its release.
const VERSION = 'fastify-realtime'
// A ping comes up to a tenth later than its interval.
const LATEST_PING = 1.1

/** `connect`: identifies the client, asks the application, and subscribes the client to the channels that it names. */
export async function connect(session: Session, command: CommandOf<'connect'>, source: Message): Promise<void> {
  const { request } = command
  refuseSpecial(command.request)
  refuseUnsafeIntegers(session, source, 'connect')
  const { services, connection } = session
  const verified = await authenticate(session, request.token)
  if (session.closed) return
  const { data, name, version } = request
  if (verified !== undefined) await admit(session, verified)
  const context = { ...session.client(), data, name, version }
  const grant = hookResult(await services.deadline.wait(services.hooks.onConnect?.(context))) ?? {}
  if (session.closed) return
  session.info = infoOf(session.user, grant)
  const connectData = grant.data === undefined ? undefined : stringify(grant.data)
  const subscriptions = await prepareAtConnect(session, grant.subscriptions ?? [], request.subs)
  if (session.closed) return
  session.reply(command, {
    client: connection.id,
    version: VERSION,
    // Only a client that sent its token in `connect` can send another.
    ttl: timeToLive(verified?.claims.exp),
    ping: Math.max(1, Math.ceil((connection.settings.heartbeat.interval * LATEST_PING) / 1000)),
    data: connectData,
    subs: new Map(subscriptions.map((subscription) => [subscription.channel, subscription.result()])),
    ...connection.emulation
  })
  session.sendReplies()
  for (const subscription of subscriptions) subscription.begin()
  // If publications of a subscription were lost meanwhile, the connection has been closed.
  if (!session.closed) session.connected()
}

/** Verifies the token in `connect`. Undefined if the token of the handshake is used, or no token is needed. */
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

/** Assigns the connection to the user, if the user may have one more connection. */
async function admit(session: Session, verified: Verified): Promise<void> {
  const { services, request } = session
  if (session.user === null && !(await services.admit(request, verified.claims))) {
    throw disconnection(DISCONNECT.connectionLimit)
  }
  if (session.closed) return
  identify(session, verified)
}

/** Assigns the connection to the user. Throws if the user was disconnected while the token was being verified. */
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

/** `refresh`: the client sends a new token before the old one expires. */
export async function refresh(session: Session, command: CommandOf<'refresh'>): Promise<void> {
  const { services, request, user, connection } = session
  if (!services.authenticated) throw new ChannelError(ERROR.notAvailable.code)
  const verdict = await services.verify(command.request.token, request, 'connection')
  if ('fault' in verdict) throw refreshError(verdict.fault)
  const { claims } = verdict
  if (claims.sub !== user?.sub) throw new ChannelError(ERROR.permissionDenied.code)
  if (session.closed) return
  identify(session, verdict)
  session.reply(command, { client: connection.id, version: VERSION, ttl: timeToLive(claims.exp) })
}

/** A failed refresh does not end the connection. The client may try again until the old token expires. */
function refreshError(fault: 'expired' | 'invalid' | 'unavailable'): ChannelError {
  if (fault === 'invalid') return new ChannelError(ERROR.unauthorized.code)
  if (fault === 'unavailable') return new ChannelError(ERROR.internal.code)
  return new ChannelError(ERROR.tokenExpired.code, undefined, { temporary: true })
}
