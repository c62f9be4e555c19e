import type { Options, TransportName } from 'centrifuge'
import { Centrifuge } from 'centrifuge'
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf'
import { EventSource } from 'eventsource'
import { WebSocket } from 'ws'

/*
 * The published client over each of its transports, between which nothing is sticky: every connection and every request
 * goes to a node of its own.
 */

/** How a client of the channel protocol is connected. */
export type Transport = 'channels' | 'protobuf' | 'http_stream' | 'sse'

export interface TransportOptions {
  /** Gives the ports that a client may connect to. */
  ports(): readonly number[]
  readonly random: () => number
  readonly client: Partial<Options>
}

export interface Transported {
  readonly client: Centrifuge
  /** Loses the connection, as a phone does. */
  drop(): void
}

/** Makes a client. The client knows one address, and a balancer would choose the node: here each connection does. */
export function transported(transport: Transport, { ports, random, client: options }: TransportOptions): Transported {
  const anyPort = () => {
    const all = ports()
    return all[Math.floor(random() * all.length)]
  }
  if (transport === 'channels' || transport === 'protobuf') {
    let socket: WebSocket | undefined
    class AnyNode extends WebSocket {
      constructor(_url: string, protocols?: string | string[]) {
        super(`ws://127.0.0.1:${anyPort()}/connection/websocket`, protocols)
        socket = this
      }
    }
    const Client = transport === 'protobuf' ? (ProtobufCentrifuge as unknown as typeof Centrifuge) : Centrifuge
    const client = new Client('ws://nodes/connection/websocket', { ...options, websocket: AnyNode })
    return { client, drop: () => socket?.terminate() }
  }
  let stream: AbortController | undefined
  const anyNode: typeof fetch = (input, init) => {
    const url = new URL(String(input))
    url.port = `${anyPort()}`
    if (url.pathname === '/emulation') return fetch(url, init)
    stream = new AbortController()
    const signals = [stream.signal, init?.signal].filter((signal) => signal != null)
    return fetch(url, { ...init, signal: AbortSignal.any(signals) })
  }
  class AnySource extends EventSource {
    constructor(url: string | URL) {
      super(url, { fetch: anyNode as never })
    }
  }
  const transports = [{ transport: transport as TransportName, endpoint: `http://127.0.0.1/connection/${transport}` }]
  const client = new Centrifuge(transports, {
    ...options,
    emulationEndpoint: 'http://127.0.0.1/emulation',
    fetch: anyNode,
    readableStream: ReadableStream,
    eventsource: AnySource
  })
  return { client, drop: () => stream?.abort() }
}
