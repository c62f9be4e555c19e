import { Client } from './client.ts'
import type { Outgoing, Subscription } from './subscription.ts'

interface Publication {
  readonly data: unknown
  readonly offset?: number
}

interface SubscribeResult {
  readonly epoch?: string
  readonly offset?: number
  readonly was_recovering?: boolean
  readonly recovered?: boolean
  readonly publications?: readonly Publication[]
}

/** A reply or a push of the channel protocol, with the members that are used here. */
interface Reply {
  readonly id?: number
  readonly error?: { readonly code: number }
  readonly subscribe?: SubscribeResult
  readonly push?: {
    readonly channel?: string
    readonly pub?: Publication
    readonly unsubscribe?: { readonly code: number }
    readonly message?: { readonly data?: unknown }
  }
}

const CONNECT = 1
// From this code on the client subscribes again.
const RESUBSCRIBE = 2500

/** A client of the channel protocol: the Centrifuge client protocol, as JSON. */
export class ChannelClient extends Client {
  #lastId = CONNECT
  /** By the command's id: subscriptions in progress. */
  readonly #joining = new Map<number, Subscription>()
  /** By the command's id: messages without an answer. */
  readonly #unanswered = new Map<number, Outgoing>()
  readonly #byChannel = new Map(this.subscriptions.map((subscription) => [subscription.channel, subscription]))

  protected override onOpen(): void {
    this.sendText(`{"id":${CONNECT},"connect":{"name":"load"}}`)
  }

  protected override onDisconnected(): void {
    this.#joining.clear()
    this.#unanswered.clear()
  }

  protected override onMessage(text: string): void {
    if (!text.includes('\n')) this.#read(text)
    else for (const line of text.split('\n')) this.#read(line)
  }

  protected override write(message: Outgoing): void {
    const id = ++this.#lastId
    this.#unanswered.set(id, message)
    this.sendText(
      `{"id":${id},"publish":{"channel":${JSON.stringify(message.subscription.channel)},"data":${message.text}}}`
    )
  }

  #read(line: string): void {
    if (line === '{}') {
      // A ping, which requires the same as an answer.
      this.sendText('{}')
      return
    }
    const reply = parse(line)
    if (reply === undefined) this.fail('not the channel protocol')
    else if (reply.push !== undefined) this.#onPush(reply.push)
    else if (reply.id === CONNECT) this.#onConnect(reply)
    else if (reply.id !== undefined) this.#onReply(reply, reply.id)
  }

  #onConnect({ error }: Reply): void {
    if (error !== undefined) this.fail(`connect: error ${error.code}`)
    else this.#subscribe(this.subscriptions)
  }

  #subscribe(subscriptions: readonly Subscription[]): void {
    const commands = subscriptions.map((subscription) => {
      const id = ++this.#lastId
      this.#joining.set(id, subscription)
      const { channel, hasPosition, epoch, offset } = subscription
      return JSON.stringify({ id, subscribe: hasPosition ? { channel, recover: true, epoch, offset } : { channel } })
    })
    this.sendText(commands.join('\n'))
  }

  #onReply(reply: Reply, id: number): void {
    const { error } = reply
    const message = this.#unanswered.get(id)
    if (message !== undefined) {
      this.#unanswered.delete(id)
      if (error === undefined) this.observer.confirmed(message)
      else this.observer.rejected(this, String(error.code), message)
      return
    }
    const subscription = this.#joining.get(id)
    if (subscription === undefined) return
    this.#joining.delete(id)
    if (error !== undefined) this.fail(`subscribe: error ${error.code}`)
    else this.#onSubscribed(subscription, reply.subscribe ?? {})
  }

  #onSubscribed(subscription: Subscription, result: SubscribeResult): void {
    for (const publication of result.publications ?? []) this.#onPublication(subscription, publication)
    subscription.epoch = result.epoch ?? ''
    subscription.offset = result.offset ?? 0
    if (result.was_recovering === true) this.observer.recovered(result.recovered === true)
    if (this.#joining.size === 0) this.ready()
  }

  #onPush({ channel = '', pub, unsubscribe, message }: NonNullable<Reply['push']>): void {
    const subscription = this.#byChannel.get(channel)
    if (pub !== undefined && subscription !== undefined) {
      this.#onPublication(subscription, pub)
    } else if (unsubscribe !== undefined && subscription !== undefined) {
      if (unsubscribe.code >= RESUBSCRIBE) this.#subscribe([subscription])
      else this.observer.failed(`unsubscribed: ${unsubscribe.code}`)
    } else if (message !== undefined) {
      const { notice } = (message.data ?? {}) as { notice?: { code?: string; dropped?: number } }
      if (notice?.code === 'lagging') this.observer.dropped(notice.dropped ?? 0)
    }
  }

  #onPublication(subscription: Subscription, { data, offset }: Publication): void {
    if (offset !== undefined) subscription.offset = offset
    this.observer.received(this, subscription, data)
  }
}

function parse(line: string): Reply | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
