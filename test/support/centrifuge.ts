import { once } from 'node:events'
import { Centrifuge, type Options, type Subscription } from 'centrifuge'
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf'
import type { FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'
import { subprotocols } from '../../lib/client/index.ts'
import { within } from '../../lib/testing/deadline.ts'

/*
 * The published JavaScript client of the channel protocol, as it is: what these tests accept is what its users get.
 */

const WAIT = 10_000

/** The address of the endpoint on an app; makes it listen first. */
export async function endpointOf(app: FastifyInstance, path = '/connection/websocket'): Promise<string> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address() as { port: number }
  return `ws://127.0.0.1:${address.port}${path}`
}

/** A client that is disconnected with the test. Its delays are short, so that tests are. */
export function centrifuge(
  t: { teardown(fn: () => unknown): void },
  endpoint: string,
  options: Partial<Options> = {}
): Centrifuge {
  const client = new Centrifuge(endpoint, {
    websocket: WebSocket,
    minReconnectDelay: 20,
    maxReconnectDelay: 300,
    ...options
  })
  t.teardown(() => client.disconnect())
  return client
}

/** The same client in its Protobuf build. Its payloads are bytes. */
export function protobufCentrifuge(
  t: { teardown(fn: () => unknown): void },
  endpoint: string,
  options: Partial<Options> = {}
): Centrifuge {
  const client = new ProtobufCentrifuge(endpoint, {
    websocket: WebSocket,
    minReconnectDelay: 20,
    maxReconnectDelay: 300,
    ...options
  })
  t.teardown(() => client.disconnect())
  // The two builds declare the same class twice.
  return client as unknown as Centrifuge
}

/** A value as the payload of a client that speaks Protobuf, and back. */
export const asBytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
export const fromBytes = (bytes: unknown): unknown => JSON.parse(new TextDecoder().decode(bytes as Uint8Array))

/** A WebSocket that brings a token in its subprotocol, as a page does it: `websocket: withToken(() => token)`. */
export function withToken(token: () => string): typeof WebSocket {
  return class extends WebSocket {
    constructor(url: string | URL) {
      super(url, subprotocols(token()))
    }
  } as typeof WebSocket
}

type Emitter = Centrifuge | Subscription

/** The next event of that name. */
export async function next<Context = Record<string, unknown>>(emitter: Emitter, event: string): Promise<Context> {
  const [context] = await within(WAIT, `the event ${event}`, once(emitter as never, event))
  return context as Context
}

/** Everything that a subscription publishes from now on, and a way to wait for so many. */
export function record(subscription: Subscription): { data: unknown[]; upTo(count: number): Promise<unknown[]> } {
  const data: unknown[] = []
  let changed: () => void = () => {}
  subscription.on('publication', (publication) => {
    data.push(publication.data)
    changed()
  })
  const reached = async (count: number) => {
    while (data.length < count) {
      await new Promise<void>((resolve) => {
        changed = resolve
      })
    }
    return data
  }
  return { data, upTo: (count) => within(WAIT, `${count} publications`, reached(count)) }
}
