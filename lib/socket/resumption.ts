import type { Connection } from '../connection/connection.ts'
import type { SubscribeOptions, SubscribeResult } from '../hub/subscribe-options.ts'
import { subscribedNotice, unsubscribedNotice } from '../protocol/messages.ts'
import type { Position } from '../protocol/position.ts'
import { parsePositions } from '../protocol/positions.ts'
import type { Streams } from './context.ts'

/**
 * What a connection resumes from, if its client is one that resumes: `fastify-realtime/client` gives its positions with
 * each handshake, even if it has none yet.
 */
export class Resumption {
  readonly #positions: Map<string, Position>
  /** Channels of which the client knows, or will know, where its subscription goes on from. */
  readonly #begun = new Set<string>()

  private constructor(positions: Map<string, Position>) {
    this.#positions = positions
  }

  /**
   * Undefined if the handshake's URL holds no positions.
   * @param most Positions that are kept: those of channels that it can't be subscribed to as well would be kept in vain.
   */
  static from(url: string, most: number): Resumption | undefined {
    const query = url.indexOf('?')
    if (query < 0 || !url.includes('since=', query)) return undefined
    const positions = parsePositions(new URLSearchParams(url.slice(query + 1)).get('since'))
    if (positions === undefined) return undefined
    return new Resumption(new Map([...positions].slice(0, most)))
  }

  /** True for the call that begins a subscription. One notice belongs to it: a second would announce what is on its way. */
  begin(channel: string): boolean {
    return this.#begun.size !== this.#begun.add(channel).size
  }

  /** The subscription has ended, or could not begin. */
  end(channel: string): void {
    this.#begun.delete(channel)
  }

  /** The client's position in a channel, once: what is subscribed again later goes on from somewhere else. */
  take(channel: string): Position | undefined {
    const position = this.#positions.get(channel)
    this.#positions.delete(channel)
    return position
  }

  /** Subscribes the socket. Its client learns where it stands, so that it can resume before the first publication. */
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

  /** The socket's subscription has ended, which its client learns too. */
  unsubscribed(socket: Connection, channel: string): void {
    this.end(channel)
    socket.sendText(unsubscribedNotice(channel))
  }
}
