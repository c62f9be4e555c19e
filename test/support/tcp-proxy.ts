import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A TCP proxy on 127.0.0.1 that can lose what the server says. It ends with the test. */
export class TcpProxy {
  readonly #server: Server
  readonly #pairs = new Set<{ client: Socket; upstream: Socket }>()
  #eats = false
  #ate: () => void = () => undefined

  private constructor(upstreamPort: number) {
    this.#server = createServer((client) => this.#join(client, connect(upstreamPort, '127.0.0.1')))
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

  /** From now on the server's answers are read and dropped. Resolves once the first one was. */
  eatReplies(): Promise<void> {
    this.#eats = true
    return new Promise((resolve) => {
      this.#ate = resolve
    })
  }

  passReplies(): void {
    this.#eats = false
  }

  /** Ends every connection. New ones are taken. */
  cut(): void {
    for (const { client, upstream } of this.#pairs) {
      client.destroy()
      upstream.destroy()
    }
  }

  #join(client: Socket, upstream: Socket): void {
    const pair = { client, upstream }
    this.#pairs.add(pair)
    client.pipe(upstream)
    upstream.on('data', (chunk) => {
      if (this.#eats) this.#ate()
      else client.write(chunk)
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
