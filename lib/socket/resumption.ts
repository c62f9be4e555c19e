import type { Connection } from '../connection/connection.ts'
import type { SubscribeOptions, SubscribeResult } from '../hub/subscribe-options.ts'
import { subscribedNotice, unsubscribedNotice } from '../protocol/messages.ts'
import type { Position } from '../protocol/position.ts'
import { parsePositions } from '../protocol/positions.ts'
import type { Streams } from './context.ts'

/**
 * The positions from which a client resumes its subscriptions. `fastify-realtime/client` sends them with each
 * handshake, even if there are none yet. Other clients do not resume.
 */
export class Resumption {
  readonly #positions: Map<string, Position>
  /** Channels for which the client was sent the start of its subscription, or will be. */
  readonly #begun = new Set<string>()

  private constructor(positions: Map<string, Position>) {
    this.#positions = positions
  }

  /**
   * Undefined if the handshake's URL has no valid parameter `since`.
   * @param most How many positions are kept. More would be useless, because the number of subscriptions is limited too.
   */
  static from(url: string, most: number): Resumption | undefined {
    const query = url.indexOf('?')
    if (query < 0 || !url.includes('since=', query)) return undefined
    const positions = parsePositions(new URLSearchParams(url.slice(query + 1)).get('since'))
    if (positions === undefined) return undefined
    return new Resumption(new Map([...positions].slice(0, most)))
  }

  /**
   * True if this call begins a subscription. Only then the client is sent a notice: a second one would announce
   * publications again that are already on their way.
   */
  begin(channel: string): boolean {
    return this.#begun.size !== this.#begun.add(channel).size
  }

  /** The subscription has ended, or could not be made. */
  end(channel: string): void {
    this.#begun.delete(channel)
  }

  /**
   * The client's position in a channel. It is returned once: a later subscription does not start from the same
   * position.
   */
  take(channel: string): Position | undefined {
    const position = this.#positions.get(channel)
    this.#positions.delete(channel)
    return position
  }

  /**
   * Subscribes the socket, and sends the client its position. So the client can resume even if no publication has come
   * yet.
   */
  subscribe(
    streams: Pick<Streams, 'subscribe'>,
    socket: Connection,
    channel: string,
    options: SubscribeOptions | undefined
  ): Promise<SubscribeResult> {
    if (!this.begin(channel)) return streams.subscribe(socket, channel, options)
    return this.#resume(streams, socket, channel, { ...options, since: options?.since ?? this.take(channel) })
  }

  async #resume(
    streams: Pick<Streams, 'subscribe'>,
    socket: Connection,
    channel: string,
    options: SubscribeOptions
  ): Promise<SubscribeResult> {
    try {
      const result = await streams.subscribe(socket, channel, options)
      socket.sendText(subscribedNotice(channel, result.recovered, result.offset, result.epoch))
      return result
    } catch (error) {
      this.end(channel)
      throw error
    }
  }

  /** The socket's subscription has ended: sends the client a notice. */
  unsubscribed(socket: Connection, channel: string): void {
    this.end(channel)
    socket.sendText(unsubscribedNotice(channel))
  }
}
