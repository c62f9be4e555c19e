import type { FastifyRequest } from 'fastify'
import type { ConnectionSession } from '../connection/connection.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Subscriber } from '../hub/cursor.ts'
import { loggable } from '../input/loggable.ts'
import { readable } from '../input/thrown.ts'
import type { ClientContext } from '../options/hooks.ts'
import type { Claims } from '../options/options.ts'
import { ERROR, type ErrorReply } from '../protocol/channel-errors.ts'
import { type Command, splitFrame } from '../protocol/commands.ts'
import { DISCONNECT, type Disconnect, UNSUBSCRIBE } from '../protocol/disconnect-codes.ts'
import { errorReply, laggingPush, PING, reply } from '../protocol/replies.ts'
import { Limiter } from '../timing/limiter.ts'
import { ApplicationRequests, type Readiness } from './application-requests.ts'
import { describeClient } from './client-info.ts'
import type { ScopeGuard } from './definition.ts'
import { failureOf } from './failure.ts'
import { type LaneRules, type LaneSlot, Lanes } from './lanes.ts'
import { type RefusedLine, readLine } from './line.ts'
import { Opening } from './opening.ts'
import { ReplyBatch } from './reply-batch.ts'
import type { SessionConnection, SessionServices } from './services.ts'
import { SessionLog } from './session-log.ts'
import type { Subscription } from './subscription.ts'
import { Subscriptions, type SubscriptionsView } from './subscriptions.ts'

/**
 * - `new`: the client has not sent `connect`.
 * - `connecting`: the client's `connect` is not answered yet.
 * - `connected`: the client's `connect` was answered.
 * - `refused`: the client's `connect` was refused. The client should close the connection.
 * - `draining`: the node drains. No new command is begun.
 * - `ended`: the connection is closed. What the client still sends has no effect.
 */
type State = 'new' | 'connecting' | 'connected' | 'refused' | 'draining' | 'ended'

// How many lines one frame may have, plus one for each subscription: a client that reconnects sends them all at once.
const MAX_LINES = 1_000
const NO_SUBSCRIPTIONS: SubscriptionsView = new Subscriptions()

/** Carries out the clients' commands, and the application's requests for its clients. */
export interface SessionCommands {
  /**
   * Carries out a command, and answers it. Rejects with an error if the command is refused or fails.
   * @param text The command as the client sent it.
   * @param slot The command's slot in its lane.
   */
  run(session: Session, command: Command, text: string, slot: LaneSlot): Promise<void>
  /** The lane of a command, and when the command may begin. */
  laneOf(command: Command, services: SessionServices): LaneRules
  /** Subscribes the client to a channel for the application. Never rejects. */
  subscribe(session: Session, channel: string): Promise<void>
}

/** One connection that uses the channel protocol. */
export class Session implements Subscriber, ConnectionSession {
  readonly connection: SessionConnection
  readonly request: FastifyRequest
  readonly services: SessionServices
  /** The description of the client for others on all channels, as JSON text. It comes from `onConnect` or the token. */
  info: string | undefined
  readonly #commands: SessionCommands
  #state: State = 'new'
  /** The node drains. The client's `connect` may still be running. */
  #isDraining = false
  /** Undefined once the client is connected. */
  #opening: Opening | undefined
  // The following fields are set only while they are used: there are many connections, and most are idle.
  #subscriptions: Subscriptions | undefined
  #lanes: Lanes | undefined
  #replies: ReplyBatch | undefined
  #requests: ApplicationRequests | undefined
  #lookups: Limiter | undefined
  #log: SessionLog | undefined
  #description: Buffer | undefined

  constructor(
    connection: SessionConnection,
    request: FastifyRequest,
    services: SessionServices,
    commands: SessionCommands
  ) {
    this.#commands = commands
    this.connection = connection
    this.request = request
    this.services = services
    this.#opening = new Opening(this)
    connection.outbox.droppedNotice = laggingPush
  }

  get outbox(): Outbox {
    return this.connection.outbox
  }

  get user(): Claims | null {
    return this.connection.user
  }

  get closed(): boolean {
    return this.#state === 'ended' || this.connection.closed
  }

  get maxSubscriptions(): number {
    return this.connection.maxSubscriptions
  }

  get subscriptions(): SubscriptionsView {
    return this.#subscriptions ?? NO_SUBSCRIPTIONS
  }

  get channels(): string[] {
    return Array.from(this.subscriptions, ({ channel }) => channel)
  }

  isOn(channel: string): boolean {
    return this.subscriptions.get(channel) !== undefined || this.#requests?.isSubscribing(channel) === true
  }

  /** The description of the client for others, as JSON text. Not used before `info` is set. */
  get description(): Buffer {
    this.#description ??= describeClient(this)
    return this.#description
  }

  /** Runs the commands whose answers may be large, one after another. */
  get lookups(): Limiter {
    this.#lookups ??= new Limiter(1)
    return this.#lookups
  }

  get log(): SessionLog {
    this.#log ??= new SessionLog(this.connection.id, this.connection.settings.log, this.services.wheel)
    return this.#log
  }

  receive(data: Buffer, isBinary: boolean): void {
    if (!this.#isReceiving) return
    if (isBinary) {
      this.disconnect(DISCONNECT.inappropriateProtocol)
      return
    }
    if (this.#opening?.accepts(data.length) === false) return
    const lines = splitFrame(data.toString(), MAX_LINES + this.maxSubscriptions)
    if (lines === undefined) {
      this.disconnect(DISCONNECT.badRequest)
      return
    }
    for (const line of lines) if (this.#isReceiving) this.#receiveLine(line)
  }

  get #isReceiving(): boolean {
    return !this.connection.closed && !this.#isDraining && this.#state !== 'ended' && this.#state !== 'refused'
  }

  #receiveLine(text: string): void {
    const line = readLine(text, this.connection)
    if (line === 'malformed') this.disconnect(DISCONNECT.badRequest)
    else if (line === 'pong') this.#receivePong()
    else if ('error' in line) this.#refuseLine(line)
    else this.#accept(line, text)
  }

  #refuseLine({ id, error }: RefusedLine): void {
    this.#answer(id, error)
    // A client whose first command is not valid will not be connected.
    if (this.#state === 'new' && error === ERROR.badRequest) this.#refuse()
  }

  #receivePong(): void {
    // Once connected, a pong without a ping is harmless. Before, no ping was sent, so a pong violates the protocol.
    if (this.#state === 'connected') this.connection.pingAnswered()
    else this.disconnect(DISCONNECT.badRequest)
  }

  #accept(command: Command, text: string): void {
    const isConnect = command.name === 'connect'
    if (isConnect !== (this.#state === 'new')) this.disconnect(DISCONNECT.badRequest)
    else if (this.#state === 'connecting') this.#opening?.keep(command, text)
    else {
      if (isConnect) {
        this.#state = 'connecting'
        this.#opening?.awaitApplication()
      }
      this.#run(command, text)
    }
  }

  #run(command: Command, text: string): void {
    const rules = this.#commands.laneOf(command, this.services)
    this.runInLane(rules, (slot) => this.#handle(command, text, slot), text.length)
  }

  /** @internal Runs a job in order with the commands in its lane. */
  runInLane(rules: LaneRules, work: (slot: LaneSlot) => Promise<void>, bytes?: number): void {
    this.#lanes ??= new Lanes(this)
    this.#lanes.run(rules, work, bytes)
  }

  /** @internal No job runs in the lanes any more. */
  lanesIdle(): void {
    this.#lanes = undefined
  }

  async #handle(command: Command, text: string, slot: LaneSlot): Promise<void> {
    if (this.closed) return
    try {
      await this.#commands.run(this, command, text, slot)
    } catch (error) {
      this.fail(command, error)
    }
  }

  /** Answers a command that failed. */
  fail(command: Command, thrown: unknown): void {
    const { id, name } = command
    const error = readable(thrown)
    const failure = failureOf(error)
    if ('error' in failure && failure.unexpected) {
      this.log.failed({ err: loggable(error), command: name }, 'channel command failed')
    } else if ('error' in failure && failure.error.code === ERROR.permissionDenied.code) {
      this.log.denied(command, this.user)
    }
    if (this.closed) return
    if ('disconnect' in failure) this.disconnect(failure.disconnect)
    else this.#answer(id, failure.error)
    if (name === 'connect' && this.#state === 'connecting') this.#refuse()
  }

  #answer(id: number, error: ErrorReply): void {
    // A command without an id is a message, and gets no answer.
    if (id > 0) this.#batch.add(errorReply(id, error))
  }

  reply({ id, name }: Pick<Command, 'id' | 'name'>, result: string): void {
    this.#batch.add(reply(id, name, result))
  }

  get #batch(): ReplyBatch {
    this.#replies ??= new ReplyBatch(this.services.turn, this)
    return this.#replies
  }

  /** @internal Sends the replies of this turn, as one text. */
  sendBatch(text: string): void {
    this.#replies = undefined
    this.connection.sendText(text)
  }

  /** Sends a message that is not a reply, after the replies so far. */
  push(text: string): void {
    this.sendReplies()
    this.connection.sendText(text)
  }

  /** Sends the replies of this turn now. */
  sendReplies(): void {
    this.#replies?.handOut()
  }

  /** The client has caused so many bytes to be sent. They count as if the client had sent them. */
  spend(bytes: number): void {
    this.connection.intake.spend(bytes)
  }

  ping(): boolean {
    if (this.#state !== 'connected') return false
    this.push(PING)
    return true
  }

  caughtUp(): void {
    this.services.hub.caughtUp(this)
  }

  /** The reply to the client's `connect` is sent: runs the commands and requests that waited for that. */
  connected(): void {
    const early = (this.#opening as Opening).take()
    this.#opening = undefined
    this.#state = this.#isDraining ? 'draining' : 'connected'
    this.connection.intake.liftAllowance()
    this.#requests?.runPending()
    for (const { command, text } of early) this.#run(command, text)
  }

  /** The client's `connect` was refused. If the client does not close the connection in time, it is disconnected. */
  #refuse(): void {
    this.#state = 'refused'
    this.#opening?.take()
    this.#opening?.awaitClient()
  }

  disconnect({ code, reason }: Disconnect): void {
    this.sendReplies()
    this.connection.close(code, reason)
    this.ended()
  }

  drain(): Promise<void> | undefined {
    this.#isDraining = true
    // Commands that came after `connect` are not begun any more. The client will send them to the next node.
    this.#opening?.take()
    if (this.#state === 'connected' || this.#state === 'new') {
      this.#state = 'draining'
      this.#requests?.end()
    }
    return this.#lanes?.idle()
  }

  /** The connection has ended. */
  ended(): void {
    this.#state = 'ended'
    this.#opening?.end()
    this.#opening = undefined
    this.#requests?.end()
    this.#lanes?.clear()
    for (const subscription of this.subscriptions) subscription.drop(UNSUBSCRIBE.disconnected)
  }

  /** Adds a subscription that is being made. */
  enter(subscription: Subscription): void {
    this.#subscriptions ??= new Subscriptions()
    this.#subscriptions.add(subscription)
  }

  /** Removes a subscription that has ended. */
  remove(subscription: Subscription): void {
    this.#subscriptions?.delete(subscription)
    if (this.subscriptions.size === 0) this.#subscriptions = undefined
  }

  /**
   * Publications of a channel were lost. The subscription ends; the client subscribes again and receives
   * `recovered: false`. If the server made the subscription, the client has to connect again.
   */
  insufficientState(channel: string): void {
    const subscription = this.subscriptions.get(channel)
    if (subscription?.byServer) this.disconnect(DISCONNECT.insufficientState)
    else subscription?.end(UNSUBSCRIBE.insufficientState)
  }

  /** @internal Whether the application's requests can be carried out now. */
  get readiness(): Readiness {
    if (this.#state === 'connected') return 'ready'
    return this.#state === 'draining' || this.#state === 'ended' ? 'over' : 'pending'
  }

  get #applicationRequests(): ApplicationRequests {
    this.#requests ??= new ApplicationRequests(this)
    return this.#requests
  }

  subscribe(channel: string): void {
    this.#applicationRequests.subscribe(channel)
  }

  unsubscribe(channel: string): void {
    this.#applicationRequests.unsubscribe(channel)
  }

  extended(expiresAt: number): void {
    this.#applicationRequests.extended(expiresAt)
  }

  /** @internal */
  subscribeNow(channel: string): Promise<void> {
    return this.#commands.subscribe(this, channel)
  }

  /** Runs the hooks of the scope in which a channel or method was declared. Rejects if they refuse the command. */
  runGuard({ guard }: { readonly guard?: ScopeGuard }): Promise<void> | undefined {
    return guard && this.services.deadline.wait(guard(this.request))
  }

  /** The part of a hook's context that says which client it is about. */
  client(): ClientContext {
    return { user: this.user, connection: this.connection.id, request: this.request }
  }
}
