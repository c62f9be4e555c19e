import type { FastifyRequest } from 'fastify'
import type { Broker } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Turn } from '../connection/turn.ts'
import type { Presence } from '../hub/attendance.ts'
import type { Hub } from '../hub/hub.ts'
import type { Log } from '../input/guarded-log.ts'
import type { EndpointHooks } from '../options/hooks.ts'
import type { Claims, ResolvedHeartbeat, ResolvedLimits } from '../options/options.ts'
import type { Disconnect } from '../protocol/disconnect-codes.ts'
import type { Intake } from '../socket/intake.ts'
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
  readonly presence: Presence
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

/** What a session needs of its socket. */
export interface SessionSocket {
  readonly id: string
  readonly user: Claims | null
  readonly closed: boolean
  /** Who ended it; of a connection that has ended. */
  readonly endedBy: 'client' | 'server' | 'network'
  readonly outbox: Outbox
  readonly maxSubscriptions: number
  readonly settings: {
    /** When the handshake's token expires, by the wheel's clock. */
    readonly expiresAt: number
    readonly heartbeat: ResolvedHeartbeat
    readonly limits: ResolvedLimits
    readonly log: Log
  }
  sendText(text: string): void
  close(code: number, reason: string): void
  identify(user: Claims, expiresAt: number): void
  extend(expiresAt: number): void
  /** How much of what the client sends is taken. */
  readonly intake: SessionIntake
  allow(bytes: number, exceeded: () => void): void
  cutOff(): void
  pingAnswered(): void
}

type SessionIntake = Pick<Intake, 'takeCommand' | 'liftAllowance' | 'spend' | 'indebted' | 'hold' | 'release'>
