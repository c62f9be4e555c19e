import type { Centrifuge, Options } from 'centrifuge'
import type { FastifyInstance } from 'fastify'
import { centrifuge, endpointOf } from './centrifuge.ts'
import { FetchEventSource } from './event-source.ts'

/* The published client over each transport that it can use with this server. */

export const TRANSPORTS = ['websocket', 'http_stream', 'sse'] as const
export type TransportName = (typeof TRANSPORTS)[number]

const PATHS = { websocket: '/connection/websocket', http_stream: '/connection/http_stream', sse: '/connection/sse' }

/** What makes the client use a transport at a server: `http://127.0.0.1:3000`. */
export function transportOptions(transport: TransportName, origin: string, emulation = origin) {
  const base = transport === 'websocket' ? origin.replace(/^http/, 'ws') : origin
  const options = {
    fetch,
    readableStream: ReadableStream,
    eventsource: FetchEventSource,
    emulationEndpoint: `${emulation}/emulation`
  }
  return { endpoint: [{ transport, endpoint: `${base}${PATHS[transport]}` }], options }
}

/** Where an app listens: `http://127.0.0.1:3000`. Makes it listen first. */
export async function originOf(app: FastifyInstance): Promise<string> {
  return (await endpointOf(app, '')).replace(/^ws/, 'http')
}

/** A client over a transport. It is disconnected with the test. */
export async function clientOver(
  t: { teardown(fn: () => unknown): void },
  transport: TransportName,
  app: FastifyInstance,
  more: Partial<Options> = {}
): Promise<Centrifuge> {
  const { endpoint, options } = transportOptions(transport, await originOf(app))
  return centrifuge(t, endpoint as never, { ...options, ...more } as Partial<Options>)
}
