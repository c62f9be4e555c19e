import { isQueued } from '../dependencies.ts'
import {
  BadConnectError,
  BadHandshakeError,
  ForbiddenOriginError,
  NotWebSocketRouteError,
  SubprotocolError
} from '../errors.ts'
import { andThen, type Eventual } from '../input/eventual.ts'
import { authenticate } from './authentication.ts'
import type { Attempt } from './handshake.ts'
import { originFault } from './origin.ts'
import { RefusalReason, withCause } from './refusal-reason.ts'
import { NO_ROUTE } from './route.ts'
import { upgradeFault } from './upgrade-request.ts'

/* The checks of a handshake that need nothing but the attempt. Each throws or rejects to refuse it. */

/** Throws or rejects to refuse the handshake. */
export type Check = (attempt: Attempt) => Eventual<unknown>

export function checkRoute({ route }: Attempt): void {
  if (route === NO_ROUTE) throw new NotWebSocketRouteError()
}

export function checkUpgrade({ request }: Attempt): void {
  const fault = upgradeFault(request.raw)
  if (fault !== undefined) throw withCause(new BadHandshakeError(fault), new RefusalReason(fault))
}

/** Nothing of a stream could be sent before the answers to earlier requests on its connection. */
export function checkTurn({ reply }: Attempt): void {
  if (!isQueued(reply.raw)) return
  const fault = 'send it once the earlier requests on its connection are answered'
  throw withCause(new BadConnectError(fault), new RefusalReason(fault))
}

export function checkOrigin({ request, route }: Attempt): Eventual<void> {
  const { origin } = request.headers
  if (origin === undefined) return
  return andThen(originFault(origin, request, route.settings.origins), (fault) => {
    if (fault !== undefined) throw withCause(new ForbiddenOriginError(), fault)
  })
}

/**
 * Lets a page of another origin read the answer, after `checkOrigin` has accepted the origin. Cookies are not allowed:
 * an application that needs them across origins registers @fastify/cors, whose headers count.
 */
export function allowOrigin({ request, reply }: Attempt): void {
  const { origin } = request.headers
  if (origin === undefined || reply.hasHeader('access-control-allow-origin')) return
  const vary = reply.getHeader('vary')
  reply.header('access-control-allow-origin', origin)
  reply.header('vary', vary === undefined ? 'Origin' : `${vary}, Origin`)
}

export function checkRate({ request, reply, route }: Attempt): Promise<unknown> | undefined {
  return route.limiter?.call(request.server, request, reply)
}

export function checkSubprotocol({ handshake }: Attempt): void {
  const { offered, fault, protocols } = handshake.offer
  const reason = fault ?? (offered && protocols.length === 0 ? 'protocol' : undefined)
  if (reason !== undefined) throw withCause(new SubprotocolError(), new RefusalReason(OFFER_FAULTS[reason]))
}

const OFFER_FAULTS = {
  malformed: 'the subprotocol offer is malformed, or repeats an entry',
  credential: 'the subprotocol offer holds no token or several where one belongs: offer realtime.v1, bearer.<token>',
  protocol: 'the subprotocol offer is a token alone: offer realtime.v1 too, for the server to select'
}

export function checkIdentity(attempt: Attempt): Eventual<void> {
  const { handshake, request, route } = attempt
  const { auth } = route.settings
  if (auth === false) return
  return andThen(authenticate(handshake, request, auth, route.kind === 'channels'), (identity) => {
    if (identity === undefined) return
    identity.adopt()
    attempt.claims = identity.claims
  })
}
