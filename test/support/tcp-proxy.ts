import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'

/** To the server, or from it. */
export type Way = 'to' | 'from'

interface Pair {
  readonly client: Socket
  readonly upstream: Socket
  said: string
  eaten: boolean
  /** The server's side is gone, and the client doesn't know. */
  halfOpen: boolean
  /** What waits for `release`. */
  readonly waiting: Record<Way, Buffer[]>
}

/** A TCP proxy on 127.0.0.1 that can do what networks do, and change the server. It ends with the test. */
export class TcpProxy {
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  #upstreamPort: number
  #ate: () => void = () => undefined
  readonly #held = new Set<Way>()
  /** What the server's words are changed to on the way: as many bytes as they have. */
  rewrite: readonly [from: string, to: string] | undefined
  /** Bytes a second that a connection carries each way. None: as many as come. */
  bytesPerSecond: number | undefined
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

  /** A partition: nothing goes these ways, on connections old and new. It isn't lost, it waits. */
  hold(...ways: Way[]): void {
    for (const way of ways) this.#held.add(way)
  }

  /** The partition is over: what waited arrives. */
  release(): void {
    this.#held.clear()
    for (const { client, upstream, waiting } of this.#pairs) {
      for (const chunk of waiting.to.splice(0)) upstream.write(chunk)
      for (const chunk of waiting.from.splice(0)) client.write(chunk)
    }
  }

  /** The server's side of every connection ends, and its clients are not told: they are answered nothing. */
  halfOpen(): void {
    for (const pair of this.#pairs) {
      pair.halfOpen = true
      pair.upstream.destroy()
    }
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
    const pair: Pair = { client, upstream, said: '', eaten: false, halfOpen: false, waiting: { to: [], from: [] } }
    this.#pairs.add(pair)
    client.on('data', (chunk) => {
      this.chunks++
      pair.said = (pair.said + chunk.toString('latin1')).slice(-65_536)
      if (!pair.halfOpen) this.#pass(pair, 'to', chunk)
    })
    upstream.on('data', (chunk) => {
      if (pair.eaten) this.#ate()
      else if (this.rewrite) client.write(chunk.toString('latin1').replaceAll(...this.rewrite), 'latin1')
      else this.#pass(pair, 'from', chunk)
    })
    const end = () => {
      this.#pairs.delete(pair)
      client.destroy()
      upstream.destroy()
    }
    // Either side's error ends both, as its close does.
    client.on('error', end).on('close', end)
    upstream.on('error', end).on('close', () => {
      if (!pair.halfOpen) end()
    })
  }

  #pass({ client, upstream, waiting }: Pair, way: Way, chunk: Buffer): void {
    const [source, target] = way === 'to' ? [client, upstream] : [upstream, client]
    if (this.#held.has(way)) waiting[way].push(chunk)
    else target.write(chunk)
    if (this.bytesPerSecond === undefined) return
    source.pause()
    setTimeout(() => source.resume(), (1000 * chunk.length) / this.bytesPerSecond)
  }
}
