import { type ClientSetup, LoadClient } from './client.ts'
import type { Feed, Outgoing } from './journal.ts'
import { type Endpoint, openWebSocket, type Wire, type WireListener } from './wire.ts'

type Place = { readonly offset?: number; readonly epoch?: string }
type Notice = Place & { readonly code?: string; readonly recovered?: boolean }

/** A message of an `app.ws` route, with the members that are used here. */
interface Message extends Place {
  readonly data?: unknown
  readonly echo?: unknown
  readonly error?: { readonly code?: string }
  readonly notice?: Notice
}

// Not every room sends a notice of the position. After so many milliseconds without one, the client counts as ready.
const NOTICE_PATIENCE = 1_000

export class SocketClient extends LoadClient {
  readonly #endpoint: Endpoint
  readonly #isEcho: boolean
  readonly #feed: Feed
  #resumes = false
  #patience: NodeJS.Timeout | undefined

  constructor(setup: ClientSetup, endpoint: Endpoint, isEcho: boolean) {
    super(setup)
    this.#endpoint = endpoint
    this.#isEcho = isEcho
    this.#feed = setup.feeds[0] as Feed
  }

  protected override connect(listener: WireListener): Wire {
    const url = new URL(this.#endpoint.url)
    const { epoch, offset } = this.#feed
    this.#resumes = epoch !== ''
    if (this.#resumes) url.searchParams.set('since', `${epoch}:${offset}`)
    return openWebSocket({ ...this.#endpoint, url }, listener)
  }

  protected override onOpen(): void {
    const now = performance.now()
    if (this.#isEcho) this.ready(now)
    else this.#patience = setTimeout(() => this.ready(now), NOTICE_PATIENCE)
  }

  protected override onEnd(): void {
    clearTimeout(this.#patience)
  }

  protected override write({ text }: Outgoing): void {
    this.wire?.send(text)
  }

  protected override onMessage(data: Buffer): void {
    const message = parse(data)
    const { notice, error } = message
    if (notice?.code === 'subscribed' || notice?.code === 'insufficient_state') {
      this.#moveTo(notice)
      if (this.#resumes) this.journal.recovered(notice.recovered === true)
      clearTimeout(this.#patience)
      this.ready()
    } else if (error !== undefined) {
      this.journal.rejected(error.code ?? 'unknown', this.publishers[0])
    } else {
      if (message.epoch !== undefined) this.#moveTo(message)
      // As it is published, as /ws/json of the demo echoes it, or as it was sent.
      this.journal.received(this.#feed, message.data ?? message.echo ?? message, this.isSlow)
    }
  }

  #moveTo({ epoch = '', offset = 0 }: Place): void {
    this.#feed.epoch = epoch
    this.#feed.offset = offset
  }
}

/** A message that is no JSON object is not from this tool. */
function parse(data: Buffer): Message {
  try {
    return Object(JSON.parse(data.toString()))
  } catch {
    return {}
  }
}
