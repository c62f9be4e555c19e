/** The part of the browsers' `WebSocket` that the client uses. The `WebSocket` of the package `ws` has it too. */
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
  /** Called when the server has accepted the client. */
  welcomed(link: Link): void
  received(link: Link, data: unknown): void
  /** Called once, when the link has ended. */
  lost(link: Link, code: number, reason: string): void
}

export interface Pending {
  resolve(reply: unknown): void
  reject(error: unknown): void
}

const ABNORMAL_CLOSURE = 1006
// If the server sends no welcome notice, the link counts as accepted so many milliseconds after the handshake.
const WELCOME_TIME = 500

/** One WebSocket, from its handshake to its end. */
export class Link {
  readonly #owner: LinkOwner
  #socket: SocketLike | undefined
  #connectTimer: ReturnType<typeof setTimeout> | undefined
  #welcomeTimer: ReturnType<typeof setTimeout> | undefined
  #silenceTimer: ReturnType<typeof setTimeout> | undefined
  #receivedAt = 0
  #silence = 0
  /** Requests that wait for a reply. */
  readonly pending = new Map<number, Pending>()
  /** The channels that resume from a position, and for which the server has sent no notice yet. */
  waiting = new Set<string>()
  /** The server has accepted the client. */
  welcome = false
  lost = false
  /** Another link has replaced this one, which is closed once its requests are answered. */
  retired = false
  /** The server takes keyed messages. */
  queued = false
  /** The time at which the client opens the next connection, because the server drains. */
  leaveAt: number | undefined
  /** When the server accepted the client. */
  since = 0

  /** @param timeout Maximum duration of the handshake, in milliseconds. */
  constructor(owner: LinkOwner, timeout: number) {
    this.#owner = owner
    this.#connectTimer = setTimeout(() => this.lose(ABNORMAL_CLOSURE, 'timeout'), timeout)
  }

  /** Opens the socket. Throws the error of its constructor, for example for an invalid URL. */
  open(Socket: SocketConstructor, url: string, protocols: string[]): void {
    const socket = new Socket(url, protocols)
    this.#socket = socket
    socket.onopen = () => {
      this.#welcomeTimer = setTimeout(() => this.#welcomed(), WELCOME_TIME)
    }
    socket.onmessage = ({ data }: { data: unknown }) => {
      this.#receivedAt = Date.now()
      this.#owner.received(this, data)
      // If the server sends no welcome notice, its first message counts as one.
      this.#welcomed()
    }
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => this.lose(code, reason)
    // The event `close` follows. Without a listener, the package ws would throw the error.
    socket.onerror = () => undefined
  }

  #welcomed(): void {
    if (this.welcome || this.lost) return
    this.welcome = true
    this.since = Date.now()
    clearTimeout(this.#connectTimer)
    clearTimeout(this.#welcomeTimer)
    this.#owner.welcomed(this)
  }

  send(text: string): void {
    this.#socket?.send(text)
  }

  /** From now on, the link ends after a silence of so many milliseconds. */
  watch(silence: number): void {
    this.#silence = silence
    this.#receivedAt = Date.now()
    clearTimeout(this.#silenceTimer)
    this.#silenceTimer = setTimeout(() => this.check(true), silence)
  }

  /** Ends the link if the server was silent for too long. */
  check(again = false): void {
    const left = this.#receivedAt + this.#silence - Date.now()
    if (this.#silence > 0 && left <= 0) this.lose(ABNORMAL_CLOSURE, 'silence')
    else if (again) this.#silenceTimer = setTimeout(() => this.check(true), left)
  }

  /** Starts to close the link. A call of `lost` follows. */
  close(): void {
    this.#socket?.close(1000)
  }

  /** Ends the link at once, without waiting for the socket to close. */
  lose(code: number, reason: string): void {
    if (this.lost) return
    this.lost = true
    clearTimeout(this.#connectTimer)
    clearTimeout(this.#welcomeTimer)
    clearTimeout(this.#silenceTimer)
    const socket = this.#socket
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null
      // If the network is down, a socket takes a minute to close.
      socket.close(1000)
    }
    this.#owner.lost(this, code, reason)
  }
}
