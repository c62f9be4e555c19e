/** As much of the browsers' `WebSocket` as is used. The one of the package `ws` fits too. */
export interface SocketLike {
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
  send(data: string): void
  close(code?: number, reason?: string): void
}

export type SocketConstructor = new (url: string, protocols: string[]) => SocketLike

export interface LinkOwner {
  /** The server has let the client in. */
  welcomed(link: Link): void
  received(link: Link, data: unknown): void
  /** It is over; called once. */
  lost(link: Link, code: number, reason: string): void
}

export interface Pending {
  resolve(reply: unknown): void
  reject(error: unknown): void
}

const LOST = 1006
// A server that does not greet its clients is taken to have let this one in, so many milliseconds after the handshake.
const GREETING = 500

/** One WebSocket, from its handshake to its end. */
export class Link {
  readonly #owner: LinkOwner
  #socket: SocketLike | undefined
  #attempt: ReturnType<typeof setTimeout> | undefined
  #greeting: ReturnType<typeof setTimeout> | undefined
  #watch: ReturnType<typeof setTimeout> | undefined
  #heard = 0
  #silence = 0
  /** Requests that wait for their replies. */
  readonly pending = new Map<number, Pending>()
  /** Channels that were resumed from a position, and of which nothing has come yet. */
  waiting = new Set<string>()
  welcome = false
  gone = false
  /** Another connection has taken over: it is closed once its requests are answered. */
  retired = false
  /** The server takes keyed messages. */
  queued = false
  /** When the server, which drains, asked the client to open its next connection. */
  leaveAt: number | undefined
  /** When the client was let in. */
  since = 0

  /** @param timeout Milliseconds for the attempt to connect. */
  constructor(owner: LinkOwner, timeout: number) {
    this.#owner = owner
    this.#attempt = setTimeout(() => this.lose(LOST, 'timeout'), timeout)
  }

  /** Throws what the constructor throws: an address that is none. */
  open(Socket: SocketConstructor, url: string, protocols: string[]): void {
    const socket = new Socket(url, protocols)
    this.#socket = socket
    socket.onopen = () => {
      this.#greeting = setTimeout(() => this.#welcomed(), GREETING)
    }
    socket.onmessage = ({ data }: { data: unknown }) => {
      this.#heard = Date.now()
      this.#owner.received(this, data)
      // Whatever comes from a server that has no greeting is one.
      this.#welcomed()
    }
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => this.lose(code, reason)
    // `close` follows. Without a listener the error would be thrown by the package ws.
    socket.onerror = () => undefined
  }

  #welcomed(): void {
    if (this.welcome || this.gone) return
    this.welcome = true
    this.since = Date.now()
    clearTimeout(this.#attempt)
    clearTimeout(this.#greeting)
    this.#owner.welcomed(this)
  }

  send(text: string): void {
    this.#socket?.send(text)
  }

  /** From here on silence of so many milliseconds is the end. */
  watch(silence: number): void {
    this.#silence = silence
    this.#heard = Date.now()
    clearTimeout(this.#watch)
    this.#watch = setTimeout(() => this.check(true), silence)
  }

  /** Ends the link if the server was silent for too long. */
  check(again = false): void {
    const left = this.#heard + this.#silence - Date.now()
    if (this.#silence > 0 && left <= 0) this.lose(LOST, 'silence')
    else if (again) this.#watch = setTimeout(() => this.check(true), left)
  }

  /** Begins to close; `lost` follows. */
  close(): void {
    this.#socket?.close(1000)
  }

  /** The link is over, whether its socket knows or not. */
  lose(code: number, reason: string): void {
    if (this.gone) return
    this.gone = true
    clearTimeout(this.#attempt)
    clearTimeout(this.#greeting)
    clearTimeout(this.#watch)
    const socket = this.#socket
    if (socket !== undefined) {
      socket.onopen = socket.onmessage = socket.onclose = null
      // One that the network has forgotten takes a minute to close.
      socket.close(1000)
    }
    this.#owner.lost(this, code, reason)
  }
}
