import { type EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { WebSocketServer } from 'ws'
import type { ConnectionSettings } from '../../lib/connection/connection.ts'
import { Turn } from '../../lib/connection/turn.ts'
import { type Claims, DEFAULTS } from '../../lib/options/options.ts'
import type { SocketContext } from '../../lib/socket/context.ts'
import { kContext, RealtimeSocket } from '../../lib/socket/realtime-socket.ts'
import { type ConnectOptions, disposeAll, type TestSocket } from '../../lib/testing/index.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from './clock.ts'
import { connect } from './connect.ts'
import { rawUpgrade } from './raw-socket.ts'

export interface RigOptions extends Partial<Omit<ConnectionSettings, 'limits' | 'heartbeat'>> {
  limits?: Partial<ConnectionSettings['limits']>
  heartbeat?: Partial<ConnectionSettings['heartbeat']>
  /** Compression, as a server may offer it. @default false */
  perMessageDeflate?: boolean
  /** As `ws` has it. @default true */
  autoPong?: boolean
  /** What `context.userRate` says. @default 0 */
  userRate?: () => number
}

/** One thing that the socket told its surroundings. */
export type Event = [name: string, ...details: unknown[]]

/**
 * RealtimeSocket over real connections, with nothing of the plugin around it: what happens stands in `events` and
 * `logs`, and time stands still until `clock` is told otherwise.
 */
export async function socketRig(t: { teardown(fn: () => unknown): void }, options: RigOptions = {}) {
  const {
    limits,
    heartbeat,
    perMessageDeflate = false,
    autoPong = true,

    userRate = () => 0,
    ...rest
  } = options
  const clock = new FakeClock(10_000)
  const wheel = new TimerWheel(clock, 50)
  const turn = new Turn()
  const events: Event[] = []
  const logs: [level: string, details: Record<string, unknown>, message: string][] = []
  const logAt = (level: string) => (details: Record<string, unknown>, message: string) =>
    void logs.push([level, details, message])
  const tell =
    (name: string) =>
    (...details: unknown[]) =>
      void events.push([name, ...details.filter((detail) => !(detail instanceof RealtimeSocket))])
  let ids = 0
  const context = {
    wheel,
    turn,
    random: () => 0.5,
    streams: {
      subscribe: async (_socket, channel) => ({ recovered: false, offset: channel.length, epoch: 'e' }),
      unsubscribe: tell('unsubscribe'),
      publish: async (_channel, data) => ({ offset: Number(data), epoch: 'e' }),
      closed: tell('streams closed'),
      caughtUp: tell('caught up')
    },
    observer: {
      opened: tell('opened'),
      identified: tell('identified'),
      closed: (_socket, code) => void events.push(['closed', code]),
      received: tell('received'),
      rejected: tell('rejected'),
      roundTrip: tell('round trip'),
      heartbeatTimeout: tell('heartbeat timeout')
    },
    userRate,
    settingsOf: (): ConnectionSettings => ({
      id: `socket-${++ids}`,
      begunAt: clock.now(),
      kind: 'messages',
      user: { sub: 'ada' } as Claims,
      expiresAt: Number.POSITIVE_INFINITY,
      validator: undefined,
      transport: 'websocket',
      route: '/',
      log: { info: logAt('info'), error: logAt('error') } as unknown as FastifyBaseLogger,
      ...rest,
      limits: { ...DEFAULTS.limits, ...limits },
      heartbeat: { ...DEFAULTS.heartbeat, ...heartbeat }
    })
  } satisfies SocketContext as SocketContext
  const server = createServer()
  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: perMessageDeflate && { threshold: 0 },
    autoPong,
    WebSocket: RealtimeSocket as never,
    closeTimeout: 1_000,
    [kContext]: context
  } as object)
  const app = {
    server,
    ready: async () => {},
    listen: async ({ host, port }: { host: string; port: number }) => {
      await once(server.listen(port, host), 'listening')
      return ''
    }
  }
  t.teardown(async () => {
    for (const socket of sockets.clients) socket.terminate()
    await disposeAll(app)
    server.close()
  })
  const accept = async (more?: ConnectOptions): Promise<{ socket: RealtimeSocket; client: TestSocket }> => {
    const connection = once(sockets, 'connection')
    const [client, [socket]] = await Promise.all([connect(app, '/', more), connection])
    return { socket: socket as RealtimeSocket, client }
  }
  const port = async () => {
    if (!server.listening) await app.listen({ host: '127.0.0.1', port: 0 })
    return (server.address() as { port: number }).port
  }
  /** Events of one name. */
  const eventsOf = (name: string) => events.filter(([one]) => one === name)
  return { clock, wheel, turn, context, sockets, events, eventsOf, logs, accept, port }
}

/** The next event of that name, and what came with it. An `error` in between is none of its business. */
export function next<Args extends unknown[]>(emitter: EventEmitter, event: string): Promise<Args> {
  return new Promise((resolve) => emitter.once(event, (...args) => resolve(args as Args)))
}

/** A socket of the rig's, and a client of which each frame is written by hand. */
export async function rawPair(t: Parameters<typeof socketRig>[0], options?: RigOptions) {
  const rig = await socketRig(t, options)
  const connection = next<[RealtimeSocket]>(rig.sockets, 'connection')
  const client = await rawUpgrade(await rig.port())
  const [socket] = await connection
  return { ...rig, client, socket }
}
