import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

// Headers of one hop (RFC 9110, section 7.6.1). Without them no upgrade reaches a server.
const HOP_BY_HOP = new Set(['connection', 'upgrade', 'keep-alive', 'te', 'transfer-encoding'])

/**
 * An HTTP proxy as networks have them: it knows no WebSockets, and gives each request to the next server, which need not
 * be the one that the client's stream comes from. It passes over servers that do not listen. It ends with the test.
 */
export class RoundRobin {
  readonly #ports: readonly number[]
  #next = 0
  #address = ''
  /** The paths that were asked for. */
  readonly asked = new Set<string>()

  private constructor(ports: readonly number[]) {
    this.#ports = ports
  }

  static async start(t: Test, ports: readonly number[]): Promise<RoundRobin> {
    const proxy = new RoundRobin(ports)
    const server = createServer((incoming, outgoing) => proxy.#forward(incoming, outgoing))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      server.close()
      server.closeAllConnections()
    })
    proxy.#address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    return proxy
  }

  get address(): string {
    return this.#address
  }

  #forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    this.asked.add(`${incoming.method} ${new URL(incoming.url as string, this.#address).pathname}`)
    const chunks: Buffer[] = []
    incoming.on('error', () => outgoing.destroy())
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => this.#ask(incoming, outgoing, Buffer.concat(chunks), this.#ports.length))
  }

  #ask(incoming: IncomingMessage, outgoing: ServerResponse, body: Buffer, left: number): void {
    if (left === 0) {
      outgoing.writeHead(502).end()
      return
    }
    const headers = Object.fromEntries(Object.entries(incoming.headers).filter(([name]) => !HOP_BY_HOP.has(name)))
    const port = this.#ports[this.#next++ % this.#ports.length] as number
    const asked = request({
      host: '127.0.0.1',
      port,
      method: incoming.method,
      path: incoming.url,
      headers,
      agent: false
    })
    asked.on('response', (response) => {
      const passed = Object.entries(response.headers).filter(([name]) => !HOP_BY_HOP.has(name))
      outgoing.writeHead(response.statusCode as number, Object.fromEntries(passed))
      outgoing.flushHeaders()
      response.on('error', () => outgoing.destroy())
      response.pipe(outgoing)
    })
    asked.on('error', () => {
      if (outgoing.headersSent) outgoing.destroy()
      else this.#ask(incoming, outgoing, body, left - 1)
    })
    outgoing.on('close', () => asked.destroy())
    asked.end(body)
  }
}
