import { EventEmitter, once } from 'node:events'
import type { Duplex } from 'node:stream'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import type { RealtimeOptions } from '../../lib/options/options.ts'
import { type TestSocket, testToken } from '../../lib/testing/index.ts'
import { atLeast, type BuildOptions, buildApp, holdsNoToken, type TestApp } from './app.ts'
import { connect } from './connect.ts'
import { type RawResponse, type RawSocket, type RawUpgradeSpec, rawUpgrade } from './raw-socket.ts'

/** How often a log line at level error or above may stand in the log, and what else may hold a token. */
export interface Aftermath {
  token?: string
  errors?: number
  places?: readonly unknown[]
}

/** How the clients that are no part of the case come in. */
export interface Clients {
  /** @default an HS256 token with the test secret */
  token?: (sub: string) => string
  /** Their token is in the Authorization header instead of the subprotocols. @default false */
  headers?: boolean
}

/**
 * An app in which a case of bad input is played: one client is connected all the time, and there is room for one more
 * and no third, one of each user.
 */
export class Stage {
  readonly app: TestApp['app']
  readonly logs: TestApp['logs']
  readonly registry: Registry
  readonly #streams = new Set<Duplex>()
  readonly #gone = new EventEmitter()
  #bystander!: TestSocket
  readonly #inHeader: boolean
  readonly #tokenOf: (sub: string) => string
  port = 0

  private constructor({ app, logs }: TestApp, registry: Registry, clients: Clients) {
    this.#tokenOf = clients.token ?? ((sub) => testToken({ sub }))
    this.#inHeader = clients.headers === true
    this.app = app
    this.logs = logs
    this.registry = registry
    app.server.on('connection', (stream) => {
      this.#streams.add(stream)
      stream.once('close', () => {
        this.#streams.delete(stream)
        this.#gone.emit('gone')
      })
    })
    app.ws('/ws', {}, async (socket) => {
      for await (const message of socket.messages()) socket.sendJson({ echo: message })
    })
  }

  /** @param declare Adds routes; `/ws`, which echoes, is there. */
  static async open(
    t: Test,
    options: RealtimeOptions = {},
    more: BuildOptions = {},
    declare: (app: TestApp['app']) => unknown = () => undefined,
    clients: Clients = {}
  ): Promise<Stage> {
    const metrics = new Registry()
    const limits = { ...options.limits, connections: { total: 2, perAddress: 2, perUser: 1 } }
    const stage = new Stage(await buildApp(t, { ...options, limits, metrics }, more), metrics, clients)
    await declare(stage.app)
    await stage.app.listen({ host: '127.0.0.1', port: 0 })
    stage.port = (stage.app.server.address() as { port: number }).port
    stage.#bystander = await stage.connect('bystander')
    return stage
  }

  connect(sub: string): Promise<TestSocket> {
    const token = this.#tokenOf(sub)
    if (!this.#inHeader) return connect(this.app, '/ws', { token })
    return connect(this.app, '/ws', { headers: { authorization: `Bearer ${token}` } })
  }

  /** A raw handshake to `/ws` with a good token of `ada` unless the spec says otherwise. */
  upgrade(spec: RawUpgradeSpec = {}): Promise<RawSocket & { response: RawResponse }> {
    return rawUpgrade(this.port, { path: '/ws', protocols: ['realtime.v1', `bearer.${goodToken}`], ...spec })
  }

  /** Resolves once the server has let go of every connection but the bystander's. */
  async quiet(): Promise<void> {
    const signal = AbortSignal.timeout(60_000)
    while (this.#streams.size > 1) await once(this.#gone, 'gone', { signal })
  }

  /**
   * What must hold after every case: the other client still works, the slots are free again, the gauges are back, and
   * no token stands in the log, the metrics or what the client got.
   */
  async after(t: Test, { token = goodToken, errors = 0, places = [] }: Aftermath = {}): Promise<void> {
    await this.quiet()
    this.#bystander.send('still there')
    t.same(await this.#bystander.next(), { echo: 'still there' }, 'another client still works')
    const next = await this.connect('ada')
    next.send(1)
    t.same(await next.next(), { echo: 1 }, 'the slots of the address and the user are free again')
    t.match(await next.close(1000), { code: 1000 })
    await this.quiet()
    const metrics = await this.registry.metrics()
    t.match(metrics, /^realtime_connections\{route="\/ws",transport="websocket"\} 1$/m, 'the gauge is back')
    t.equal(atLeast(this.logs, 'error').length, errors, 'nothing but faults of ours is logged as an error')
    holdsNoToken(t, token, this.logs, metrics, places)
    this.logs.length = 0
  }
}

/** Of the user `ada`. */
export const goodToken = testToken({ sub: 'ada' })
