import { once } from 'node:events'
import { type WebSocket, WebSocketServer } from 'ws'
import type { ClientObserver, ClientSetup } from '../../demo/load/client/client.ts'
import { Subscription } from '../../demo/load/client/subscription.ts'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** What a client of the load tool told, and a server of the test's own to tell it something. */
export class ClientStage {
  readonly port: number
  /** One line for each thing told. */
  readonly told: string[] = []
  readonly #sockets: WebSocket[] = []
  readonly #urls: string[] = []
  #waiters: (() => void)[] = []

  static async start(t: Teardown): Promise<ClientStage> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    t.teardown(() => {
      for (const socket of server.clients) socket.terminate()
      server.close()
    })
    await once(server, 'listening')
    return new ClientStage(server)
  }

  private constructor(server: WebSocketServer) {
    this.port = (server.address() as { port: number }).port
    server.on('connection', (socket, request) => {
      this.#sockets.push(socket)
      this.#urls.push(request.url ?? '')
      this.#wake()
    })
  }

  /** The server's end of the client's connection of that number, counted from 0, and the URL that it asked for. */
  async connection(number: number): Promise<{ socket: WebSocket; url: string; next(): Promise<string> }> {
    await this.#until(() => this.#sockets.length > number)
    const socket = this.#sockets[number] as WebSocket
    const next = async () => String((await once(socket, 'message'))[0])
    return { socket, url: this.#urls[number] as string, next }
  }

  /** Waits until this was told. */
  async tells(line: string): Promise<void> {
    await this.#until(() => this.told.includes(line))
  }

  setup(path: string, ...channels: string[]): ClientSetup {
    return {
      endpoint: {
        secure: false,
        address: '127.0.0.1',
        port: this.port,
        host: `127.0.0.1:${this.port}`,
        serverName: '',
        path,
        protocols: [],
        origin: undefined,
        localAddress: undefined
      },
      subscriptions: channels.map((channel, group) => new Subscription(group, channel)),
      observer: this.#observer(),
      isSlow: false
    }
  }

  #observer(): ClientObserver {
    const tell = (line: string) => {
      this.told.push(line)
      this.#wake()
    }
    return {
      opened: () => tell('opened'),
      returned: () => tell('returned'),
      closed: (code) => tell(`closed ${code}`),
      left: () => tell('left'),
      refused: (status) => tell(`refused ${status}`),
      failed: (reason) => tell(`failed ${reason}`),
      received: (_client, { channel }, message) => tell(`received ${channel} ${JSON.stringify(message)}`),
      recovered: (all) => tell(`recovered ${all}`),
      dropped: (count) => tell(`dropped ${count}`),
      confirmed: ({ sequence }) => tell(`confirmed ${sequence}`),
      rejected: (_client, code, message) => tell(`rejected ${code} ${message?.sequence}`)
    }
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiters.push(resolve))
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }
}
