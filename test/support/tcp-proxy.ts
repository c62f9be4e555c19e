import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'

interface Pair {
  readonly client: Socket
  readonly upstream: Socket
  said: string
  eaten: boolean
}

/** A TCP proxy on 127.0.0.1 that can lose what the server says, and change the server. It ends with the test. */
export class TcpProxy {
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  #upstreamPort: number
  #ate: () => void = () => undefined
  /** What the server's words are changed to on the way: as many bytes as they have. */
  rewrite: readonly [from: string, to: string] | undefined
  /** How many chunks came from clients. */
  chunks = 0

  private constructor(upstreamPort: number) {
    this.#upstreamPort = upstreamPort
    this.#server = createServer((client) => this.#join(client, connect(this.#upstreamPort, '127.0.0.1')))
  }

  static async start(t: Test, upstreamPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(upstreamPort)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    t.teardown(() => {
      proxy.cut()
      proxy.#server.close()
    })
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /**
   * From now on the server's answers are read and dropped, on the connections there are whose client said something
   * that matches. Resolves once the first answer was dropped.
   */
  eatReplies(said = /^/): Promise<void> {
    for (const pair of this.#pairs) pair.eaten = said.test(pair.said)
    return new Promise((resolve) => {
      this.#ate = resolve
    })
  }

  /** Ends every connection; new ones go to this server. */
  redirect(upstreamPort: number): void {
    this.#upstreamPort = upstreamPort
    this.cut()
  }

  /** Ends every connection. New ones are taken. */
  cut(): void {
    for (const { client, upstream } of this.#pairs) {
      client.destroy()
      upstream.destroy()
    }
  }

  #join(client: Socket, upstream: Socket): void {
    const pair: Pair = { client, upstream, said: '', eaten: false }
    this.#pairs.add(pair)
    client.on('data', (chunk) => {
      this.chunks++
      pair.said = (pair.said + chunk.toString('latin1')).slice(-65_536)
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      if (pair.eaten) this.#ate()
      else client.write(this.rewrite ? chunk.toString('latin1').replaceAll(...this.rewrite) : chunk, 'latin1')
    })
    const end = () => {
      this.#pairs.delete(pair)
      client.destroy()
      upstream.destroy()
    }
    // Either side's error ends both, as its close does.
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
  }
}
