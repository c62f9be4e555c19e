import type { FastifyRequest } from 'fastify'
import { Turn } from '../../lib/connection/turn.ts'
import { Hub } from '../../lib/hub/hub.ts'
import { PresenceKeeper } from '../../lib/hub/presence-keeper.ts'
import type { EndpointHooks } from '../../lib/options/hooks.ts'
import { type Claims, DEFAULTS, type ResolvedHeartbeat, type ResolvedLimits } from '../../lib/options/options.ts'
import { framePayloads } from '../../lib/protocol/frame.ts'
import { reply } from '../../lib/protocol/replies.ts'
import type { SubscribeReply } from '../../lib/protocol/results.ts'
import { ChannelPatterns } from '../../lib/routes/patterns.ts'
import { COMMANDS } from '../../lib/session/commands/index.ts'
import type { ChannelDefinition, MethodDefinition } from '../../lib/session/definition.ts'
import { type ClientFormat, jsonOverWebSocket } from '../../lib/session/encodings/client-format.ts'
import type { SessionServices, Verdict, Verified } from '../../lib/session/services.ts'
import { Session } from '../../lib/session/session.ts'
import { HookDeadline } from '../../lib/timing/hook-deadline.ts'
import { Limiter } from '../../lib/timing/limiter.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock, FaultyBroker } from '../hub/rig.ts'
import { FakeConnection } from '../support/fake-connection.ts'
import { idle } from '../support/idle.ts'
import { commandBytes, type Fields, repliesIn } from '../support/protobuf.ts'

export { idle as quiet }

/*
 * Sessions without the plugin, its handshake and its sockets around them: what a client says goes in as bytes, what it
 * is told comes out parsed, the broker is in memory and fails when told to, and time stands still until `clock` is
 * told otherwise.
 */

/** A line that a client was sent. */
export type Line = Readonly<Record<string, unknown>>

/** A verdict on a token, whose adoption changes nothing unless a test says so. */
export type TokenVerdict = Exclude<Verdict, Verified> | (Pick<Verified, 'claims'> & Partial<Verified>)

export interface SessionRigOptions extends Partial<Pick<SessionServices, 'authenticated' | 'maxCalls' | 'admit'>> {
  /** Milliseconds. @default 10_000 */
  authTimeout?: number
  /** Milliseconds. @default 30_000 */
  hookTimeout?: number
  hooks?: EndpointHooks
  limits?: Partial<ResolvedLimits>
  heartbeat?: Partial<ResolvedHeartbeat>
  maxSubscriptions?: number
  /** @default The token is its owner’s name. */
  verify?: (token: string) => TokenVerdict | Promise<TokenVerdict>
}

export interface ClientOptions {
  /** Whom the handshake’s token named. @default ada */
  user?: Claims | null
  /** What it says to connect; false: nothing. @default {} */
  connect?: object | false
  /** @default jsonOverWebSocket */
  format?: ClientFormat
}

type Definition = Partial<Omit<ChannelDefinition, 'hooks'>> & ChannelDefinition['hooks']

export const ADA: Claims = { sub: 'ada' }
const HISTORY = { size: 100, ttl: 60_000 }

/** A client that is connected, or about to be. */
export class Client {
  readonly session: Session
  readonly connection: FakeConnection
  readonly #frames: string[] = []
  readonly #lines: Line[] = []
  #id = 100

  constructor(connection: FakeConnection, services: SessionServices, format: ClientFormat) {
    const request = { id: 'request', headers: {} } as unknown as FastifyRequest
    this.connection = connection
    this.session = new Session(connection, request, services, COMMANDS, format)
    connection.session = this.session
  }

  /** The code and reason that it was closed with. */
  get closed(): { code: number; reason: string } | undefined {
    return this.connection.closedWith
  }

  /** Each message that it was sent, as it came. */
  get frames(): string[] {
    for (const { payload } of framePayloads(Buffer.concat(this.connection.chunks.splice(0)))) {
      const text = payload.toString()
      this.#frames.push(text)
      if (this.session.format.encoding.isBinary) this.#lines.push(...repliesIn(payload))
      else this.#lines.push(...text.split('\n').map((line) => JSON.parse(line) as Line))
    }
    return this.#frames
  }

  /** Says commands, in one frame; a string goes out as it is, to a session that speaks JSON. */
  say(...commands: (object | string)[]): void {
    if (this.session.format.encoding.isBinary) {
      this.session.receive(commandBytes(...(commands as Fields[])), true)
      return
    }
    const lines = commands.map((command) => (typeof command === 'string' ? command : JSON.stringify(command)))
    this.session.receive(Buffer.from(lines.join('\n')), false)
  }

  /** Says a command, and gives the answer to it without its id; undefined where none has come once all is quiet. */
  async call(command: object): Promise<Line | undefined> {
    const id = ++this.#id
    this.say({ id, ...command })
    await idle()
    const lines = this.#received
    const at = lines.findIndex((line) => line.id === id)
    if (at < 0) return undefined
    const { id: _, ...answer } = lines.splice(at, 1)[0] as Line
    return answer
  }

  /** What it has heard since it was asked last, once all is quiet. */
  async heard(): Promise<Line[]> {
    await idle()
    return this.#received.splice(0)
  }

  /** The connection is gone. */
  end(): void {
    this.connection.lose()
    this.session.ended()
  }

  get #received(): Line[] {
    void this.frames
    return this.#lines
  }
}

export async function sessionRig(t: { teardown(fn: () => unknown): void }, options: SessionRigOptions = {}) {
  const clock = new FakeClock(10_000)
  const wheel = new TimerWheel(clock, 50)
  const turn = new Turn()
  const limiter = new Limiter(8)
  const broker = new FaultyBroker()
  const patterns = new ChannelPatterns<ChannelDefinition>()
  const methods = new Map<string, MethodDefinition>()
  const failures: string[] = []
  const clients = new Map<string, Client>()
  const logs: [members: object, message: string][] = []
  const failed = (stage: string) => void failures.push(stage)
  const hub = new Hub({
    broker,
    turn,
    wheel,
    limiter,
    maxPublication: 1_048_576,
    outboxOf: (connection) => clients.get(connection)?.connection.outbox,
    traitsOf: (channel) => patterns.find(channel)?.definition,
    failed,
    repaired() {},
    delivered() {},
    recovered() {},
    unpositioned: () => undefined
  })
  const presence = new PresenceKeeper({ broker, wheel, limiter, failed })
  await broker.start({
    publication: (channel, publication) => hub.receive(channel, publication),
    presence: (channel, kind, info) => hub.receivePresence(channel, kind, info),
    dropped() {},
    state() {},
    audit: (channels) => hub.audit(channels)
  })
  t.teardown(() => broker.close())
  const {
    authenticated = true,
    maxCalls = 16,
    hookTimeout = 30_000,
    authTimeout = 10_000,
    hooks = {},
    verify = (token) => ({ claims: { sub: token } }),
    admit = async () => true
  } = options
  const services: SessionServices = {
    broker,
    hub,
    presence,
    wheel,
    turn,
    hooks,
    deadline: new HookDeadline(wheel, hookTimeout),
    authenticated,
    authTimeout,
    maxCalls,
    findChannel: (name) => patterns.find(name),
    findMethod: (name) => methods.get(name),
    verify: async (token) => ({ adopt: () => undefined, ...(await verify(token)) }),
    admit
  }
  const note = (members: object, message: string) => void logs.push([members, message])
  const warnings: typeof logs = []
  const log = { error: note, warn: (...line: (typeof logs)[0]) => void warnings.push(line), info() {}, debug() {} }
  let connections = 0
  return {
    broker,
    clock,
    /** Stages of the broker’s failures that nobody waited for. */
    failures,
    hub,
    /** What was logged as an error. */
    logs,
    methods,
    presence,
    /** What was logged as a warning. */
    warnings,
    wheel,
    /**
     * Declares channels. With `history: true` it keeps a hundred publications. Every client may subscribe, and may
     * publish without a subscription, unless the definition says otherwise.
     */
    channel(pattern: string, { history, ...definition }: Omit<Definition, 'history'> & { history?: unknown } = {}) {
      const { presenceTtl, joinLeave = false, token = false, validators = {}, ...more } = definition
      const { publishers = 'clients', echo = true, delta = false, filters = false, recover = 'missed', ...rest } = more
      const { binary = false, guard, ...declared } = rest
      const policy = (history === true ? HISTORY : history) as ChannelDefinition['history']
      const hooks = { onSubscribe: true, ...declared } as const
      const reported = new Set<string>()
      const forms = { echo, delta, filters, recover, binary }
      const rights = { token, publishers, ...forms, hooks, reported, ...(guard && { guard }) }
      patterns.add(pattern, { pattern, history: policy, presenceTtl, joinLeave, validators, ...rights })
    },
    /** A client, connected unless told otherwise. */
    async client({ user = ADA, connect = {}, format = jsonOverWebSocket }: ClientOptions = {}): Promise<Client> {
      const id = `c${++connections}`
      const limits = { ...DEFAULTS.limits, ...options.limits }
      const heartbeat = { ...DEFAULTS.heartbeat, ...options.heartbeat }
      const connection = new FakeConnection({ id, user, turn, log, limits, heartbeat })
      if (options.maxSubscriptions !== undefined) connection.maxSubscriptions = options.maxSubscriptions
      const client = new Client(connection, services, format)
      clients.set(id, client)
      if (connect !== false) await client.call({ connect })
      return client
    },
    /** Publishes as the application does. */
    async publish(channel: string, ...values: unknown[]) {
      let position = { offset: 0, epoch: '' }
      for (const value of values) position = await hub.publish(channel, value, undefined)
      return position
    }
  }
}

export type SessionRig = Awaited<ReturnType<typeof sessionRig>>

/** A result of `subscribe`, as a client of the JSON protocol gets it. */
export function asJson(result: SubscribeReply | undefined): Record<string, unknown> {
  return JSON.parse(reply(1, 'subscribe', result as SubscribeReply)).subscribe
}
