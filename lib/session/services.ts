import type { FastifyRequest } from 'fastify'
import type { Broker } from '../broker/broker.ts'
import type { Connection } from '../connection/connection.ts'
import type { Holder } from '../connection/reading.ts'
import type { Turn } from '../connection/turn.ts'
import type { Hub } from '../hub/hub.ts'
import type { PresenceKeeper } from '../hub/presence-keeper.ts'
import type { EndpointHooks } from '../options/hooks.ts'
import type { Claims } from '../options/options.ts'
import type { Disconnect } from '../protocol/disconnect-codes.ts'
import type { HookDeadline } from '../timing/hook-deadline.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import type { DeclaredChannel, MethodDefinition } from './definition.ts'

/** A token that is good. */
export interface Verified {
  readonly claims: Claims
  /**
   * The connection is theirs from now on: hooks find them in `request.user`. Gives what the user was disconnected with
   * meanwhile, if so; then nothing is changed.
   * @param connection Its id, if it was nobody's before: what else was asked for the user's connections meanwhile is done
   * to it.
   */
  adopt(connection?: string): Disconnect | undefined
}

/** What became of a token. */
export type Verdict = Verified | { readonly fault: 'expired' | 'invalid' | 'unavailable' }

/** What all sessions of one node share. */
export interface SessionServices {
  readonly broker: Broker
  readonly hub: Hub
  readonly presence: PresenceKeeper
  readonly wheel: TimerWheel
  readonly turn: Turn
  readonly hooks: EndpointHooks
  /** Bounds what an application's hooks and handlers may take. */
  readonly deadline: HookDeadline
  /** Whether clients have to say who they are. */
  readonly authenticated: boolean
  /** Milliseconds that a connection may take to. */
  readonly authTimeout: number
  /** Calls of one connection that run at a time. */
  readonly maxCalls: number
  findChannel(name: string): DeclaredChannel | undefined
  findMethod(name: string): MethodDefinition | undefined
  /** A token with the claim `channel` is a subscription's, and invalid for a connection. */
  verify(token: string, request: FastifyRequest, use: 'connection' | 'subscription'): Promise<Verdict>
  /** Takes one of the user's places for a connection that became theirs after the handshake; false: none is free. */
  admit(request: FastifyRequest, claims: Claims): Promise<boolean>
}

/** A connection that a session can speak over. */
export interface SessionConnection extends Connection {
  /** How much of what the client sends is taken. */
  readonly intake: SessionIntake
  /** The client has proved whose connection it is, until a time by the wheel's clock. */
  identify(user: Claims, expiresAt: number): void
  /** From here on the client may send so many bytes in all, until the intake lifts that. */
  allow(bytes: number, exceeded: () => void): void
  /** It is closed, and nothing that the client still sends is worth reading. */
  cutOff(): void
  /** The session's ping was answered, or an answer came that nobody had asked for. */
  pingAnswered(): void
}

/** What a session decides about its client's messages. */
export interface SessionIntake {
  /** True while the client owes bytes. */
  readonly indebted: boolean
  /** A command of so many bytes came: false if it is refused. */
  takeCommand(bytes: number): boolean
  /** The client has caused so many bytes to be sent. */
  spend(bytes: number): void
  liftAllowance(): void
  hold(by: Holder): void
  release(by: Holder): void
}
