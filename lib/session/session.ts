import type { FastifyRequest } from 'fastify'
import type { ConnectionSession } from '../connection/connection.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Subscriber } from '../hub/cursor.ts'
import { loggable } from '../input/loggable.ts'
import { readable } from '../input/thrown.ts'
import type { ClientContext } from '../options/hooks.ts'
import type { Claims } from '../options/options.ts'
import { ERROR, type ErrorReply } from '../protocol/channel-errors.ts'
import type { Command, CommandName } from '../protocol/commands.ts'
import { DISCONNECT, type Disconnect, UNSUBSCRIBE } from '../protocol/disconnect-codes.ts'
import type { Message } from '../protocol/framing.ts'
import type { ResultsByCommand } from '../protocol/results.ts'
import type { FilterNode } from '../protocol/tags-filter.ts'
import { Limiter } from '../timing/limiter.ts'
import { ApplicationRequests, type Readiness } from './application-requests.ts'
import { describeClient } from './client-info.ts'
import type { ScopeGuard } from './definition.ts'
import type { ClientFormat } from './encodings/client-format.ts'
import type { RefusedCommand } from './encodings/encoding.ts'
import { readCommand } from './encodings/read-command.ts'
import { failureOf } from './failure.ts'
import { type LaneRules, type LaneSlot, Lanes } from './lanes.ts'
import { Opening } from './opening.ts'
import { ReplyBatch } from './reply-batch.ts'
import type { SessionConnection, SessionServices } from './services.ts'
import type { SessionCommands } from './session-commands.ts'
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

// How many commands one message may have, plus one for each subscription: a client that reconnects sends them together.
const MAX_COMMANDS = 1_000
const NO_SUBSCRIPTIONS: SubscriptionsView = new Subscriptions()

/** One connection that uses the channel protocol. */
export class Session implements Subscriber, ConnectionSession {
  readonly connection: SessionConnection
  readonly request: FastifyRequest
  readonly services: SessionServices
  readonly format: ClientFormat
  /** The description of the client for others on all channels, as JSON text. It comes from `onConnect` or the token. */
  info: string | undefined
  readonly #commands: SessionCommands<Session>
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
    commands: SessionCommands<Session>,
    format: ClientFormat
  ) {
    this.#commands = commands
    this.connection = connection
    this.request = request
    this.services = services
    this.format = format
    this.#opening = new Opening(this)
    connection.outbox.droppedNotice = format.droppedNotice
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
    const { encoding } = this.format
    if (isBinary !== encoding.isBinary) {
      this.disconnect(DISCONNECT.inappropriateProtocol)
      return
    }
    if (this.#opening?.accepts(data.length) === false) return
    const commands = encoding.split(data, MAX_COMMANDS + this.maxSubscriptions)
    if (commands === undefined) {
      this.disconnect(DISCONNECT.badRequest)
      return
    }
    for (const command of commands) if (this.#isReceiving) this.#receiveCommand(command)
  }

  get #isReceiving(): boolean {
    return !this.connection.closed && !this.#isDraining && this.#state !== 'ended' && this.#state !== 'refused'
  }

  #receiveCommand(source: Message): void {
    const command = readCommand(source, this.format.encoding, this.connection)
    if (command === 'malformed') this.disconnect(DISCONNECT.badRequest)
    else if (command === 'pong') this.#receivePong()
    else if ('error' in command) this.#refuseCommand(command)
    else this.#accept(command, source)
  }

  #refuseCommand({ id, error }: RefusedCommand): void {
    this.#answer(id, error)
    // A client whose first command is not valid will not be connected.
    if (this.#state === 'new' && error === ERROR.badRequest) this.#refuse()
  }

  #receivePong(): void {
    // Once connected, a pong without a ping is harmless. Before, no ping was sent, so a pong violates the protocol.
    if (this.#state === 'connected') this.connection.pingAnswered()
    else this.disconnect(DISCONNECT.badRequest)
  }

  #accept(command: Command, source: Message): void {
    const isConnect = command.name === 'connect'
    if (isConnect !== (this.#state === 'new')) this.disconnect(DISCONNECT.badRequest)
    else if (this.#state === 'connecting') this.#opening?.keep(command, source)
    else {
      if (isConnect) {
        this.#state = 'connecting'
        this.#opening?.awaitApplication()
      }
      this.#run(command, source)
    }
  }

  #run(command: Command, source: Message): void {
    const rules = this.#commands.laneOf(command, this.services)
    this.runInLane(rules, (slot) => this.#handle(command, source, slot), source.length)
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

  async #handle(command: Command, source: Message, slot: LaneSlot): Promise<void> {
    if (this.closed) return
    try {
      await this.#commands.run(this, command, source, slot)
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
    if (id > 0) this.#batch.add(this.format.encoding.error(id, error))
  }

  /** Answers a command. Returns the length of the answer. */
  reply<Name extends CommandName>({ id, name }: { id: number; name: Name }, result: ResultsByCommand[Name]): number {
    const message = this.format.encoding.reply(id, name, result)
    this.#batch.add(message)
    return message.length
  }

  get #batch(): ReplyBatch {
    this.#replies ??= new ReplyBatch(this.services.turn, this)
    return this.#replies
  }

  /** @internal Sends the replies of this turn, as one message. */
  sendBatch(replies: readonly Message[]): void {
    this.#replies = undefined
    this.#send(this.format.encoding.join(replies))
  }

  /** Sends a message that is not a reply, after the replies so far. */
  push(message: Message): void {
    this.sendReplies()
    this.#send(message)
  }

  #send(message: Message): void {
    if (!this.connection.closed) this.outbox.send(this.format.frame(message))
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
    this.push(this.format.encoding.ping)
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
    for (const { command, source } of early) this.#run(command, source)
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

  subscribe(channel: string, filter?: FilterNode): void {
    this.#applicationRequests.subscribe(channel, filter)
  }

  unsubscribe(channel: string): void {
    this.#applicationRequests.unsubscribe(channel)
  }

  extended(expiresAt: number): void {
    this.#applicationRequests.extended(expiresAt)
  }

  /** @internal */
  subscribeNow(channel: string, filter: FilterNode | undefined): Promise<void> {
    return this.#commands.subscribe(this, channel, filter)
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
