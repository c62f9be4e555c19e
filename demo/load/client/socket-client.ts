import { Client, type ClientSetup } from './client.ts'
import type { Outgoing, Subscription } from './subscription.ts'

/** A message of an `app.ws` route, with the members that are used here. */
interface Message {
  readonly channel?: string
  readonly data?: unknown
  readonly offset?: number
  readonly epoch?: string
  readonly echo?: unknown
  readonly ping?: number
  readonly error?: { readonly code?: string }
  readonly notice?: {
    readonly code?: string
    readonly recovered?: boolean
    readonly offset?: number
    readonly epoch?: string
    readonly dropped?: number
  }
}

// Not every room sends a notice of the position. After this long without one the client counts as ready.
const NOTICE_PATIENCE = 1_000

/** A client of a plain WebSocket route: a room, in which publications come with their channel, or an echo. */
export class SocketClient extends Client {
  readonly #isEcho: boolean
  #asked = false
  #patience: NodeJS.Timeout | undefined

  constructor(setup: ClientSetup, isEcho: boolean) {
    super(setup)
    this.#isEcho = isEcho
  }

  /** Its only one. */
  get subscription(): Subscription {
    return this.subscriptions[0] as Subscription
  }

  protected override path(): string {
    const { path } = this.endpoint
    const { hasPosition, epoch, offset } = this.subscription
    this.#asked = hasPosition
    if (!hasPosition) return path
    return `${path}${path.includes('?') ? '&' : '?'}since=${encodeURIComponent(`${epoch}:${offset}`)}`
  }

  protected override onOpen(): void {
    const now = performance.now()
    if (this.#isEcho) this.ready(now)
    else this.#patience = setTimeout(() => this.ready(now), NOTICE_PATIENCE)
  }

  protected override onDisconnected(): void {
    clearTimeout(this.#patience)
  }

  protected override onMessage(text: string): void {
    const message = parse(text)
    if (message.notice !== undefined) this.#onNotice(message.notice)
    else if (message.error !== undefined) this.observer.rejected(this, message.error.code ?? 'unknown', undefined)
    else this.#onPublication(message)
  }

  protected override write({ text }: Outgoing): void {
    this.sendText(text)
  }

  #onPublication(message: Message): void {
    const { subscription } = this
    if (message.epoch !== undefined && message.offset !== undefined) {
      subscription.epoch = message.epoch
      subscription.offset = message.offset
    }
    // As it is published, as /ws/json echoes it, or as it was sent.
    this.observer.received(this, subscription, message.data ?? message.echo ?? message)
  }

  #onNotice(notice: NonNullable<Message['notice']>): void {
    if (notice.code === 'lagging') {
      this.observer.dropped(notice.dropped ?? 0)
    } else if (notice.code === 'subscribed') {
      this.#moveTo(notice)
      if (this.#asked) this.observer.recovered(notice.recovered === true)
      clearTimeout(this.#patience)
      this.ready()
    } else if (notice.code === 'insufficient_state') {
      this.#moveTo(notice)
      this.observer.recovered(false)
    }
  }

  #moveTo({ epoch, offset }: NonNullable<Message['notice']>): void {
    this.subscription.epoch = epoch ?? ''
    this.subscription.offset = offset ?? 0
  }
}

/** A message that is not a JSON object is not from this tool. */
function parse(text: string): Message {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
