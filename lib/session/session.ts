import type { FastifyRequest } from 'fastify'
import type { ConnectionSession } from '../connection/connection.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Subscriber } from '../hub/cursor.ts'
import { loggable } from '../input/loggable.ts'
import { readable } from '../input/thrown.ts'
import type { ClientContext } from '../options/hooks.ts'
import type { Claims } from '../options/options.ts'
import { ERROR, type ErrorReply } from '../protocol/channel-errors.ts'
import { type Command, idOf, splitFrame } from '../protocol/commands.ts'
import { DISCONNECT, type Disconnect, UNSUBSCRIBE } from '../protocol/disconnect-codes.ts'
import { errorReply, laggingPush, PING, reply, unsubscribePush } from '../protocol/replies.ts'
import { Limiter } from '../timing/limiter.ts'
import type { Timed } from '../timing/timer-wheel.ts'
import { ApplicationRequests } from './application-requests.ts'
import type { ScopeGuard } from './definition.ts'
import { failureOf } from './failure.ts'
import { type LaneRules, Lanes, type Place } from './lanes.ts'
import { idIn, readLine } from './line.ts'
import { ReplyBatch } from './reply-batch.ts'
import type { SessionConnection, SessionServices } from './services.ts'
import { SessionLog } from './session-log.ts'
import type { Subscription } from './subscription.ts'

/**
 * `new` until the client sends `connect`, which makes it `connected` or, where it is refused, leaves it to hang up
 * (`refused`); `ended` once nothing the client sends matters any more.
 */
type State = 'new' | 'connecting' | 'connected' | 'refused' | 'draining' | 'ended'

// Bytes that a client may send until its `connect` is answered: in messages, and on the wire with all that frames them.
const MAX_UNKNOWN = 65_536
const MAX_FRAMED = MAX_UNKNOWN + 4_096
// Bytes of a line that is not parsed if its client may not send it: to find its id costs less.
const LARGE = 4_096
// Lines of one frame, besides one for each subscription: a client that comes back sends all of them at once.
const MAX_LINES = 1_000

/** What clients may command, and what the application may do for them, as functions of a session. */
export interface SessionCommands {
  /**
   * Does what a command asks, and answers it; rejects with what it is refused with. `text` is the command as it came,
   * `place` its place in its lane.
   */
  run(session: Session, command: Command, text: string, place: Place): Promise<void>
  /** Which of the connection's lanes a command waits in, and for what. */
  laneOf(command: Command, services: SessionServices): LaneRules
  /** Subscribes the client to a channel for the application. Never rejects. */
  subscribe(session: Session, channel: string): Promise<void>
}

/** One connection that speaks the channel protocol. */
export class Session implements Subscriber, ConnectionSession, Timed {
  readonly connection: SessionConnection
  readonly request: FastifyRequest
  readonly services: SessionServices
  readonly subscriptions = new Map<string, Subscription>()
  /** Its questions whose answers may be large are asked one after another. */
  readonly lookups = new Limiter(1)
  user: Claims | null
  /** Describes the client to others; JSON text. */
  info: string | undefined
  wheelTick = -1
  readonly #commands: SessionCommands
  readonly #lanes: Lanes
  #state: State = 'new'
  /** The node drains; `connect` may still be under way. */
  #draining = false
  /** What came while `connect` was under way. */
  #early: { readonly command: Command; readonly text: string }[] = []
  readonly #replies: ReplyBatch
  #log: SessionLog | undefined
  readonly #asked: ApplicationRequests
  /** Bytes that it has sent while nobody knows it. */
  #unknownBytes = 0

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
    this.user = connection.user
    this.#lanes = new Lanes(connection)
    this.#asked = new ApplicationRequests(this, this.#lanes)
    connection.outbox.droppedNotice = laggingPush
    this.#replies = new ReplyBatch(services.turn, (text) => connection.sendText(text))
    connection.outbox.replies = this.#replies
    connection.allow(MAX_FRAMED, () => this.#tooMuch())
    services.wheel.set(this, services.wheel.now() + services.authTimeout)
  }

  get outbox(): Outbox {
    return this.connection.outbox
  }

  get closed(): boolean {
    return this.#state === 'ended' || this.connection.closed
  }

  get maxSubscriptions(): number {
    return this.connection.maxSubscriptions
  }

  get channels(): string[] {
    return [...this.subscriptions.keys()]
  }

  isOn(channel: string): boolean {
    return this.subscriptions.has(channel) || this.#asked.asksFor(channel)
  }

  /** The wheel calls this: the client has not said in time who it is, or has not hung up. */
  onDue(now: number): number {
    const { graceUntil } = this.services.wheel
    if (now < graceUntil) return graceUntil
    this.disconnect(DISCONNECT.stale)
    return Number.POSITIVE_INFINITY
  }

  receive(data: Buffer, isBinary: boolean): void {
    if (!this.#listens) return
    if (isBinary) {
      this.disconnect(DISCONNECT.inappropriateProtocol)
      return
    }
    if (this.#state !== 'connected') this.#unknownBytes += data.length
    if (this.#unknownBytes > MAX_UNKNOWN) {
      this.#tooMuch()
      return
    }
    const lines = splitFrame(data.toString(), MAX_LINES + this.maxSubscriptions)
    if (lines === undefined) {
      this.disconnect(DISCONNECT.badRequest)
      return
    }
    for (const line of lines) if (this.#listens) this.#take(line)
  }

  /** Nobody knows it yet, and it sends more than anybody needs to be known. */
  #tooMuch(): void {
    this.disconnect(DISCONNECT.badRequest)
    this.connection.cutOff()
  }

  get #listens(): boolean {
    return !this.connection.closed && !this.#draining && this.#state !== 'ended' && this.#state !== 'refused'
  }

  #take(text: string): void {
    const bytes = Buffer.byteLength(text)
    const isLarge = bytes > LARGE
    if (isLarge && !this.connection.intake.takeCommand(bytes)) {
      this.#answer(idOf(text), ERROR.tooManyRequests)
      return
    }
    const line = readLine(text, this.connection.settings.limits.maxDepth)
    if ('parsed' in line && line.parsed === 'malformed') this.disconnect(DISCONNECT.badRequest)
    else if ('parsed' in line && line.parsed === 'pong') this.#pong()
    else if (!isLarge && !this.connection.intake.takeCommand(bytes)) this.#answer(idIn(line), ERROR.tooManyRequests)
    else if ('refused' in line) this.#refuseLine(line.refused)
    else this.#accept(line.parsed as Command, text)
  }

  #refuseLine(id: number): void {
    this.#answer(id, ERROR.badRequest)
    // Who begins like this has not connected, and won't.
    if (this.#state === 'new') this.#refuse()
  }

  #pong(): void {
    // One that nobody asked for is harmless; before connect it can't be one.
    if (this.#state === 'connected') this.connection.pingAnswered()
    else this.disconnect(DISCONNECT.badRequest)
  }

  #accept(command: Command, text: string): void {
    const isConnect = command.name === 'connect'
    if (isConnect !== (this.#state === 'new')) this.disconnect(DISCONNECT.badRequest)
    else if (this.#state === 'connecting') this.#early.push({ command, text })
    else {
      // From here on it is the application's time, which has bounds of its own.
      if (isConnect) {
        this.#state = 'connecting'
        this.services.wheel.delete(this)
      }
      this.#run(command, text)
    }
  }

  #run(command: Command, text: string): void {
    const rules = this.#commands.laneOf(command, this.services)
    this.#lanes.run(rules, (place) => this.#handle(command, text, place), text.length)
  }

  async #handle(command: Command, text: string, place: Place): Promise<void> {
    if (this.closed) return
    try {
      await this.#commands.run(this, command, text, place)
    } catch (error) {
      this.fail(command, error)
    }
  }

  /** Answers a command with what became of it. */
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

  get log(): SessionLog {
    this.#log ??= new SessionLog(this.connection.id, this.connection.settings.log, this.services.wheel)
    return this.#log
  }

  #answer(id: number, error: ErrorReply): void {
    // Id 0 is a message, which nobody waits for.
    if (id > 0) this.#replies.add(errorReply(id, error))
  }

  reply({ id, name }: Pick<Command, 'id' | 'name'>, result: string): void {
    this.#replies.add(reply(id, name, result))
  }

  /** The client has caused so many bytes to be sent. */
  spend(bytes: number): void {
    this.connection.intake.spend(bytes)
  }

  /** Sends what stands by itself, behind the replies before it. */
  push(text: string): void {
    this.sendReplies()
    this.connection.sendText(text)
  }

  /** Sends the replies of this turn. */
  sendReplies(): void {
    this.#replies.handOut()
  }

  /** The client has connected, and been told so. */
  connected(): void {
    this.#state = this.#draining ? 'draining' : 'connected'
    this.connection.intake.liftAllowance()
    this.#asked.settle(this.#state === 'connected')
    for (const { command, text } of this.#early.splice(0)) this.#run(command, text)
  }

  /** The client couldn't connect: it hangs up, or is hung up on once its time is over. */
  #refuse(): void {
    const { wheel, authTimeout } = this.services
    this.#state = 'refused'
    this.#early = []
    wheel.set(this, wheel.now() + authTimeout)
  }

  disconnect({ code, reason }: Disconnect): void {
    this.sendReplies()
    this.connection.close(code, reason)
    this.ended()
  }

  ping(): boolean {
    if (this.#state !== 'connected') return false
    this.push(PING)
    return true
  }

  caughtUp(): void {
    this.services.hub.caughtUp(this)
  }

  drain(): Promise<void> | undefined {
    this.#draining = true
    // What came behind `connect` is not begun any more: the client sends it to the next node.
    this.#early = []
    if (this.#state === 'connected' || this.#state === 'new') {
      this.#state = 'draining'
      this.#asked.end()
    }
    return this.#lanes.idle()
  }

  /** The connection is gone. */
  ended(): void {
    this.#state = 'ended'
    this.#early = []
    this.#asked.end()
    this.#lanes.clear()
    this.services.wheel.delete(this)
    for (const subscription of [...this.subscriptions.values()]) this.drop(subscription, UNSUBSCRIBE.disconnected)
  }

  /** Ends a subscription, without a word to the client. */
  drop(subscription: Subscription, { code, reason }: Disconnect): void {
    const { channel, definition, params, live } = subscription
    if (!this.holds(subscription)) return
    this.subscriptions.delete(channel)
    this.services.wheel.delete(subscription)
    this.services.hub.unsubscribe(this, channel)
    subscription.presence?.remove()
    if (!live || definition.hooks.onUnsubscribe === undefined) return
    const context = { ...this.client(), channel, params, code, reason }
    void this.#runHook('onUnsubscribe', definition.hooks.onUnsubscribe, context)
  }

  /** Whether that subscription is still wanted. */
  holds(subscription: Subscription): boolean {
    return this.subscriptions.get(subscription.channel) === subscription
  }

  /** Runs a hook that nobody waits for. */
  async #runHook<Context>(hook: string, call: (context: Context) => unknown, context: Context): Promise<void> {
    try {
      await call(context)
    } catch (thrown) {
      this.log.failed({ err: loggable(thrown), hook }, 'channel hook failed')
    }
  }

  /** Ends a subscription and tells the client, if it knows of it. */
  end(subscription: Subscription, reason: Disconnect): void {
    const { channel, live } = subscription
    this.drop(subscription, reason)
    if (live) this.push(unsubscribePush(channel, reason))
  }

  /** What was published can't be had any more: the client subscribes anew, and learns that it did not recover. */
  insufficientState(channel: string): void {
    const subscription = this.subscriptions.get(channel)
    if (subscription?.byServer) this.disconnect(DISCONNECT.insufficientState)
    else if (subscription !== undefined) this.end(subscription, UNSUBSCRIBE.insufficientState)
  }

  /** The application ends a subscription, or begins one. */
  unsubscribe(channel: string): void {
    this.#asked.unsubscribe(channel)
  }

  subscribe(channel: string): void {
    this.#asked.subscribe(channel)
  }

  /** @internal */
  subscribeNow(channel: string): Promise<void> {
    return this.#commands.subscribe(this, channel)
  }

  /** The application moved the expiry of the connection, to a time in seconds since 1970. */
  extended(expiresAt: number): void {
    this.#asked.extended(expiresAt)
  }

  /** Runs the hooks of the scope that declared something. Throws if they refuse the client's command. */
  runGuard({ guard }: { readonly guard?: ScopeGuard }): Promise<void> | undefined {
    return guard && this.services.deadline.wait(guard(this.request))
  }

  /** Which client hooks are told that it is. */
  client(): ClientContext {
    return { user: this.user, connection: this.connection.id, request: this.request }
  }
}
