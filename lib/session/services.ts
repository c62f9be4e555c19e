import type { FastifyRequest } from 'fastify'
import type { Broker } from '../broker/broker.ts'
import type { Connection } from '../connection/connection.ts'
import type { PauseReason } from '../connection/reading.ts'
import type { Turn } from '../connection/turn.ts'
import type { Hub } from '../hub/hub.ts'
import type { PresenceKeeper } from '../hub/presence-keeper.ts'
import type { EndpointHooks } from '../options/hooks.ts'
import type { Claims } from '../options/options.ts'
import type { Disconnect } from '../protocol/disconnect-codes.ts'
import type { HookDeadline } from '../timing/hook-deadline.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import type { DeclaredChannel, MethodDefinition } from './definition.ts'

/** A valid token. */
export interface Verified {
  readonly claims: Claims
  /**
   * Assigns the connection to the user: hooks find the claims in `request.user`. If the application has disconnected
   * the user while the token was being verified, this changes nothing, and returns the code and reason of that.
   * @param connection The connection's id, if it had no user before. Other changes that the application made to the
   * user's connections while the token was being verified are then made to this connection too.
   */
  adopt(connection?: string): Disconnect | undefined
}

/** The result of verifying a token. */
export type Verdict = Verified | { readonly fault: 'expired' | 'invalid' | 'unavailable' }

/** What all sessions of one node share. */
export interface SessionServices {
  readonly broker: Broker
  readonly hub: Hub
  readonly presence: PresenceKeeper
  readonly wheel: TimerWheel
  readonly turn: Turn
  readonly hooks: EndpointHooks
  /** Limits the time of the application's hooks and handlers. */
  readonly deadline: HookDeadline
  /** Whether clients need a token. */
  readonly authenticated: boolean
  /** Milliseconds in which a client has to send `connect`. */
  readonly authTimeout: number
  /** How many calls (`rpc`) of one connection run at a time. */
  readonly maxCalls: number
  findChannel(name: string): DeclaredChannel | undefined
  findMethod(name: string): MethodDefinition | undefined
  /** A token with the claim `channel` is valid for a subscription only. */
  verify(token: string, request: FastifyRequest, use: 'connection' | 'subscription'): Promise<Verdict>
  /** Takes one of the user's places for a connection that was anonymous at its handshake. False if none is free. */
  admit(request: FastifyRequest, claims: Claims): Promise<boolean>
}

/** A connection that a session can use. */
export interface SessionConnection extends Connection {
  /** Limits what the client sends. */
  readonly intake: SessionIntake
  /** Set if the client sends its commands by requests of their own, since its transport has one direction only. */
  readonly emulation?: Emulation | undefined
  /** The client has shown a valid token. It expires at a time by the wheel's clock. */
  identify(user: Claims, expiresAt: number): void
  /** From now on the client may send so many bytes in all, until `intake.liftAllowance()`. */
  allow(bytes: number, exceeded: () => void): void
  /** The connection is closed: reads nothing more, and ends it soon. */
  cutOff(): void
  /** A pong of the channel protocol came, the answer to a ping or an unsolicited one. */
  pingAnswered(): void
}

/** What a client names in each request with commands. */
export interface Emulation {
  /** The secret that authorises the request. */
  readonly session: string
  /** The id of the node that holds the session. */
  readonly node: string
}

/** What a session needs of the limits on its client. */
export interface SessionIntake {
  /** True while the client has used more bytes than its rate allows. */
  readonly indebted: boolean
  /** A command of so many bytes came. False if it is refused. */
  takeCommand(bytes: number): boolean
  /** The client has caused so many bytes to be sent. They count as if the client had sent them. */
  spend(bytes: number): void
  liftAllowance(): void
  pause(reason: PauseReason): void
  resume(reason: PauseReason): void
}
