import { type ClientSetup, LoadClient } from './client.ts'
import { openHttp } from './http-wire.ts'
import type { Feed, Outgoing } from './journal.ts'
import { decodeReplies, encodeCommand } from './protobuf.ts'
import { type Endpoint, openWebSocket, type Wire, type WireListener } from './wire.ts'

export const TRANSPORTS = ['websocket', 'protobuf', 'http_stream', 'sse'] as const
export type LoadTransport = (typeof TRANSPORTS)[number]

export type ChannelEndpoint = Endpoint & { readonly emulation: string; readonly transport: LoadTransport }

type Code = { readonly code: number }
type Publication = { readonly data?: unknown; readonly offset?: number }

/** A reply or a push, with the members that are used here. In Protobuf true is 1. */
interface Reply {
  readonly id?: number
  readonly error?: Code
  readonly connect?: object
  readonly subscribe?: Partial<Record<'was_recovering' | 'recovered', boolean | number>> & {
    readonly epoch?: string
    readonly offset?: number
    readonly publications?: readonly Publication[]
  }
  readonly push?: {
    readonly channel?: string
    readonly pub?: Publication
    readonly unsubscribe?: Code
    readonly disconnect?: Code
  }
}

const CONNECT = { id: 1, connect: { name: 'load' } }
// From this code on, a client subscribes again.
const RESUBSCRIBE = 2500

export class ChannelClient extends LoadClient {
  readonly #endpoint: ChannelEndpoint
  readonly #isProtobuf: boolean
  #lastId = CONNECT.id
  /** Subscriptions in progress, and messages without an answer, by the id of the command. */
  readonly #joining = new Map<number, Feed>()
  readonly #unanswered = new Map<number, Outgoing>()
  readonly #byChannel = new Map(this.feeds.map((feed) => [feed.channel, feed]))

  constructor(setup: ClientSetup, endpoint: ChannelEndpoint) {
    super(setup)
    this.#endpoint = endpoint
    this.#isProtobuf = endpoint.transport === 'protobuf'
  }

  protected override connect(listener: WireListener): Wire {
    const { transport } = this.#endpoint
    if (transport === 'websocket' || transport === 'protobuf') return openWebSocket(this.#endpoint, listener)
    return openHttp({ ...this.#endpoint, isSse: transport === 'sse' }, JSON.stringify(CONNECT), listener)
  }

  protected override onOpen(): void {
    // Over HTTP the request that opens the stream carries it.
    if (this.wire?.identify === undefined) this.#send(CONNECT)
  }

  protected override onEnd(): void {
    this.#joining.clear()
    this.#unanswered.clear()
  }

  protected override write(message: Outgoing): void {
    const id = ++this.#lastId
    this.#unanswered.set(id, message)
    const { channel } = message.feed
    if (this.#isProtobuf) this.#send({ id, publish: { channel, data: message.text } })
    // The text is JSON already.
    else this.wire?.send(`{"id":${id},"publish":{"channel":${JSON.stringify(channel)},"data":${message.text}}}`)
  }

  protected override onMessage(data: Buffer): void {
    for (const reply of this.#parse(data)) this.#onReply(reply)
  }

  #send(command: object): void {
    this.wire?.send(this.#isProtobuf ? encodeCommand(command) : JSON.stringify(command))
  }

  #parse(data: Buffer): readonly Reply[] {
    try {
      if (this.#isProtobuf) return decodeReplies(data)
      return data
        .toString()
        .split('\n')
        .map((line) => JSON.parse(line))
    } catch {
      this.fail({ reason: 'not the channel protocol' })
      return []
    }
  }

  #onReply(reply: Reply): void {
    const { id, push } = reply
    if (push !== undefined) this.#onPush(push)
    else if (id === CONNECT.id) this.#onConnect(reply)
    else if (id !== undefined) this.#onAnswer(reply, id)
    // Anything else is a ping, which requires the same as an answer.
    else this.#send({})
  }

  #onConnect({ error, connect }: Reply): void {
    if (error !== undefined) {
      this.fail({ reason: `connect: error ${error.code}` })
      return
    }
    this.wire?.identify?.({ ...connect })
    for (const feed of this.feeds) this.#subscribe(feed)
  }

  #subscribe(feed: Feed): void {
    const id = ++this.#lastId
    this.#joining.set(id, feed)
    const { channel, epoch, offset } = feed
    this.#send({ id, subscribe: epoch === '' ? { channel } : { channel, recover: true, epoch, offset } })
  }

  #onAnswer({ error, subscribe = {} }: Reply, id: number): void {
    const message = this.#unanswered.get(id)
    const feed = this.#joining.get(id)
    this.#unanswered.delete(id)
    this.#joining.delete(id)
    if (message !== undefined) {
      if (error === undefined) message.publisher.published(message.sequence)
      else this.journal.rejected(String(error.code), message.publisher, message.sequence)
    } else if (error !== undefined) {
      this.fail({ reason: `subscribe: error ${error.code}` })
    } else if (feed !== undefined) {
      for (const publication of subscribe.publications ?? []) this.#onPublication(feed, publication)
      feed.epoch = subscribe.epoch ?? ''
      feed.offset = subscribe.offset ?? 0
      if (subscribe.was_recovering) this.journal.recovered(Boolean(subscribe.recovered))
      if (this.#joining.size === 0) this.ready()
    }
  }

  #onPush({ channel = '', pub, unsubscribe, disconnect }: NonNullable<Reply['push']>): void {
    const feed = this.#byChannel.get(channel)
    if (disconnect !== undefined) {
      this.fail(disconnect)
    } else if (feed !== undefined && pub !== undefined) {
      this.#onPublication(feed, pub)
    } else if (feed !== undefined && unsubscribe !== undefined) {
      if (unsubscribe.code >= RESUBSCRIBE) this.#subscribe(feed)
      else this.journal.ended({ reason: `unsubscribed with ${unsubscribe.code}` })
    }
  }

  #onPublication(feed: Feed, { data, offset }: Publication): void {
    if (offset !== undefined) feed.offset = offset
    this.journal.received(feed, data, this.isSlow)
  }
}
