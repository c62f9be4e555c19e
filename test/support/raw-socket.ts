import { connect, type Socket } from 'node:net'
import { type Frame, type FrameSpec, frame, opcodes, parseFrame } from './raw-frames.ts'

export { closingFrame, type Frame, type FrameSpec, frame, opcodes, parseFrame } from './raw-frames.ts'

const TIMEOUT = 60_000
const HEAD_END = '\r\n\r\n'

const open = new Set<Socket>()

export interface RequestSpec {
  /** The request target as it stands on the request line. @default '/' */
  path?: string
  /** @default 'GET' */
  method?: string
  /** More headers, or others; undefined leaves a default one out, an array repeats it. */
  headers?: Readonly<Record<string, string | readonly string[] | undefined>>
  /** `Sec-WebSocket-Version`. @default 13 */
  version?: number | string
  /** `Sec-WebSocket-Key`. @default the one of RFC 6455 */
  key?: string
  /** `Sec-WebSocket-Protocol`, in this order. @default no such header */
  protocols?: readonly string[]
}

export interface RawUpgradeSpec extends RequestSpec {
  host?: string
  /** Bytes that leave in one write with the handshake. */
  trailing?: Uint8Array
  /** Milliseconds that any wait on this connection may take. @default 5_000 */
  timeout?: number
}

export interface RawResponse {
  statusLine: string
  statusCode: number
  /** Lower-case names; a repeated header is joined with ', '. */
  headers: Record<string, string>
  /** The body of a refusal, by its Content-Length or up to the end; empty with 101. */
  body: string
}

/** The bytes of a handshake (or of what nearly is one). */
export function requestHead(spec: RequestSpec = {}): string {
  const headers = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': String(spec.version ?? 13),
    'Sec-WebSocket-Key': spec.key ?? 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol': spec.protocols?.join(', '),
    ...spec.headers
  }
  const lines = Object.entries(headers).flatMap(([name, value]) => {
    if (value === undefined) return []
    return [value].flat().map((one) => `${name}: ${one}`)
  })
  return [`${spec.method ?? 'GET'} ${spec.path ?? '/'} HTTP/1.1`, ...lines].join('\r\n') + HEAD_END
}

/** Sends a handshake and reads the whole answer to it, whatever it is. */
export async function rawUpgrade(
  port: number,
  { host, trailing, timeout, ...request }: RawUpgradeSpec = {}
): Promise<RawSocket & { response: RawResponse }> {
  const socket = await RawSocket.open(port, { host, timeout })
  socket.write(Buffer.concat([Buffer.from(requestHead(request)), trailing ?? Buffer.alloc(0)]))
  return Object.assign(socket, { response: await socket.readResponse() })
}

/** Cuts every raw connection to a port: none of them closes by itself when its server ends. */
export function destroyRawSockets(port: number): void {
  for (const net of open) if (net.remotePort === port) net.destroy()
}

/** A TCP connection that says what it is told to, byte for byte, and reads what comes back in order. */
export class RawSocket {
  /** The socket underneath: `pause()`, `resetAndDestroy()`, and so on. */
  readonly net: Socket
  readonly #timeout: number
  #received: Buffer = Buffer.alloc(0)
  #finished = false
  #error: Error | undefined
  #wake: () => void = () => undefined

  static async open(
    port: number,
    { host = '127.0.0.1', timeout = TIMEOUT }: { host?: string; timeout?: number } = {}
  ): Promise<RawSocket> {
    const net = connect({ host, port, noDelay: true, allowHalfOpen: true })
    const socket = new RawSocket(net, timeout)
    await socket.#until('a TCP connection', () => (net.pending ? undefined : true))
    return socket
  }

  private constructor(net: Socket, timeout: number) {
    this.net = net
    this.#timeout = timeout
    open.add(net)
    net.on('close', () => open.delete(net))
    net.on('connect', () => this.#wake())
    net.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    net.on('end', () => this.#finish())
    net.on('close', () => this.#finish())
    net.on('error', (error) => {
      this.#error = error
    })
  }

  write(bytes: string | Uint8Array): void {
    this.net.write(bytes)
  }

  /** Writes frames in one segment (as far as TCP allows). */
  send(...frames: FrameSpec[]): void {
    this.net.write(Buffer.concat(frames.map(frame)))
  }

  /** Half-closes: the server reads the end, and may go on writing. */
  end(): void {
    this.net.end()
  }

  destroy(): void {
    this.net.destroy()
  }

  /** Leaves with RST instead of FIN. */
  reset(): void {
    this.net.resetAndDestroy()
  }

  /** Reads one HTTP response; what comes after it stays for `nextFrame`. */
  async readResponse(): Promise<RawResponse> {
    const end = await this.#until('the end of the response head', () => {
      const index = this.#received.indexOf(HEAD_END)
      return index === -1 ? undefined : index
    })
    const [statusLine = '', ...lines] = this.#take(end).toString('latin1').split('\r\n')
    this.#take(HEAD_END.length)
    const statusCode = Number(statusLine.split(' ')[1])
    const headers = parseHeaders(lines)
    return { statusLine, statusCode, headers, body: await this.#readBody(statusCode, headers) }
  }

  /** The next frame that the server sent. */
  nextFrame(expected = 'a frame'): Promise<Frame> {
    return this.#until(expected, () => {
      const parsed = parseFrame(this.#received)
      if (!parsed) return undefined
      this.#received = parsed.rest
      return parsed.frame
    })
  }

  /** The server's close frame, past any frames before it. The code is 1005 where the frame carries none. */
  async closeFrame(): Promise<{ code: number; reason: string }> {
    let next = await this.nextFrame('a close frame')
    while (next.opcode !== opcodes.close) next = await this.nextFrame('a close frame')
    const { payload } = next
    return payload.length < 2
      ? { code: 1005, reason: '' }
      : { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) }
  }

  /** Resolves when the server has ended or cut the connection; `reset` tells the second. */
  async ended(): Promise<{ reset: boolean }> {
    await this.#until('the end of the connection', () => (this.#finished ? true : undefined), true)
    return { reset: this.#error !== undefined }
  }

  /** What has come and was not read as a response or a frame. */
  get unread(): Buffer {
    return this.#received
  }

  async #readBody(statusCode: number, headers: Record<string, string>): Promise<string> {
    if (statusCode === 101) return ''
    const announced = headers['content-length']
    if (announced === undefined) {
      await this.ended()
      return this.#take(this.#received.length).toString()
    }
    const length = Number(announced)
    await this.#until('the response body', () => (this.#received.length >= length ? true : undefined))
    return this.#take(length).toString()
  }

  #take(length: number): Buffer {
    const taken = this.#received.subarray(0, length)
    this.#received = this.#received.subarray(length)
    return taken
  }

  #finish(): void {
    this.#finished = true
    this.#wake()
  }

  // One wait at a time: a raw client's test reads in order. `attempt` is asked again whenever something happened.
  async #until<T>(expected: string, attempt: () => T | undefined, atEnd = false): Promise<T> {
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.#wake()
    }, this.#timeout)
    try {
      for (;;) {
        const outcome = attempt()
        if (outcome !== undefined) return outcome
        if (late) throw new Error(`Waited for ${expected} for ${this.#timeout} ms; unread: ${this.#described()}`)
        if (this.#finished && !atEnd) {
          throw new Error(`The connection ended before ${expected}; unread: ${this.#described()}`, {
            cause: this.#error
          })
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    } finally {
      clearTimeout(timer)
    }
  }

  #described(): string {
    return this.#received.length === 0 ? 'nothing' : JSON.stringify(this.#received.toString('latin1', 0, 200))
  }
}

function parseHeaders(lines: string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return headers
}
