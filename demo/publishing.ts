import type { RealtimeSocket } from 'fastify-realtime'

const UNCONFIRMED = new Set(['FST_RT_UNAVAILABLE', 'FST_RT_UNKNOWN_OUTCOME'])

/**
 * Publishes a message of a client. While the broker is not available the client gets an error, and keeps its
 * connection.
 */
export async function publishOrExplain(socket: RealtimeSocket, channel: string, data: unknown): Promise<void> {
  try {
    await socket.publish(channel, data)
  } catch (error) {
    if (!UNCONFIRMED.has((error as { code?: string }).code ?? '')) throw error
    socket.sendJson({ error: { code: 'unavailable', message: 'The service is unavailable for now' } })
  }
}
