import { Duplex } from 'node:stream'

// The buffer of each direction in bytes, for a peer that does not read. It has the role of a kernel's socket buffers.
const WIRE_BYTES = 64 * 1024

// Read when the module loads, so that a fake clock that a test installs later does not stop the transfer.
const { setImmediate, setTimeout, clearTimeout } = globalThis

let lastPort = 49_151

/**
 * One end of an in-memory connection. Node's HTTP parser and `ws` can use it like a `net.Socket`.
 *
 * Bytes arrive in a later turn of the event loop, never within the write. Otherwise one side's handlers would run
 * inside the other's `write()`, which no network does. Bytes that were written before `destroy()` still arrive, as with
 * a kernel: the server answers a refused handshake and destroys the socket in one turn.
 */
export class MemorySocket extends Duplex {
  readonly connecting = false
  readonly encrypted: boolean
  readonly remoteAddress = '127.0.0.1'
  readonly remoteFamily = 'IPv4'
  readonly remotePort: number
  readonly localAddress = '127.0.0.1'
  readonly localFamily = 'IPv4'
  readonly localPort: number
  bytesRead = 0
  bytesWritten = 0

  #peer!: MemorySocket
  /** Chunks that the peer wrote and this side has not read yet. null is the end of the stream. */
  #wire: (Buffer | null)[] = []
  #wireBytes = 0
  /** True if the reader can take more bytes. */
  #canPush = false
  #scheduled = false
  /** The callback of the peer's write, while the buffer is full. */
  #blocked: ((error?: Error) => void) | undefined
  #timer: NodeJS.Timeout | undefined

  /** The client's and the server's end. Only the server's end stays open for writing after the other side has ended. */
  static pair(encrypted = false): [client: MemorySocket, server: MemorySocket] {
    lastPort = lastPort === 65_535 ? 49_152 : lastPort + 1
    const client = new MemorySocket(false, encrypted, lastPort, 80)
    const server = new MemorySocket(true, encrypted, 80, lastPort)
    client.#peer = server
    server.#peer = client
    return [client, server]
  }

  private constructor(allowHalfOpen: boolean, encrypted: boolean, localPort: number, remotePort: number) {
    super({ allowHalfOpen })
    this.encrypted = encrypted
    this.localPort = localPort
    this.remotePort = remotePort
  }

  address(): { address: string; family: string; port: number } {
    return { address: this.localAddress, family: this.localFamily, port: this.localPort }
  }

  /** Emits `timeout` after `milliseconds` without traffic. 0 turns it off. */
  setTimeout(milliseconds: number, callback?: () => void): this {
    clearTimeout(this.#timer)
    this.#timer = milliseconds > 0 ? setTimeout(() => this.emit('timeout'), milliseconds).unref() : undefined
    if (callback && milliseconds > 0) this.once('timeout', callback)
    else if (callback) this.off('timeout', callback)
    return this
  }

  // http and ws call these methods on every socket. They have no effect in memory.
  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  /** Ends the stream, and destroys it once everything is written. http calls this after the last response. */
  destroySoon(): void {
    this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error) => void): void {
    this.bytesWritten += chunk.length
    this.#timer?.refresh()
    this.#peer.#receive(chunk, callback)
  }

  override _final(callback: () => void): void {
    this.#peer.#receiveEnd()
    callback()
  }

  override _read(): void {
    this.#canPush = true
    this.#schedule()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    clearTimeout(this.#timer)
    this.#wire = []
    this.#blocked?.(brokenPipe())
    this.#blocked = undefined
    if (!this.writableFinished) this.#peer.#receiveEnd()
    callback(error)
  }

  #receive(chunk: Buffer, callback: (error?: Error) => void): void {
    if (this.destroyed) {
      callback(brokenPipe())
      return
    }
    this.#wire.push(chunk)
    this.#wireBytes += chunk.length
    if (this.#wireBytes < WIRE_BYTES) callback()
    else this.#blocked = callback
    this.#schedule()
  }

  #receiveEnd(): void {
    if (this.destroyed) return
    this.#wire.push(null)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || !this.#canPush || this.#wire.length === 0) return
    this.#scheduled = true
    setImmediate(() => this.#deliver())
  }

  #deliver(): void {
    this.#scheduled = false
    while (this.#canPush) {
      const chunk = this.#wire.shift()
      if (chunk === undefined) break
      this.#count(chunk?.length ?? 0)
      this.#canPush = this.push(chunk)
    }
    if (this.#blocked === undefined || this.#wireBytes >= WIRE_BYTES) return
    const written = this.#blocked
    this.#blocked = undefined
    written()
  }

  #count(bytes: number): void {
    this.#wireBytes -= bytes
    this.bytesRead += bytes
    this.#timer?.refresh()
  }
}

function brokenPipe(): Error {
  return Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' })
}
