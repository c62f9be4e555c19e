import type { FastifyInstance } from 'fastify'
import type { ConnectOptions, TestSocket } from '../../lib/testing/index.ts'
import { connect } from './connect.ts'

/** A client of the channel protocol that says what it is told to, right or wrong. */
export class Speaker {
  readonly socket: TestSocket
  #lines: string[] = []
  #id = 0

  constructor(socket: TestSocket) {
    this.socket = socket
  }

  /** Opens a connection to the endpoint; with `commands`, sends `connect` and takes its reply. */
  static async open(app: FastifyInstance, options: ConnectOptions & { connect?: object | false } = {}) {
    const { connect: request = {}, ...rest } = options
    const speaker = new Speaker(await connect(app, '/connection/websocket', rest))
    if (request !== false) await speaker.call({ connect: request })
    return speaker
  }

  /** Sends a frame as it is. */
  raw(frame: string | Uint8Array): void {
    this.socket.sendRaw(frame)
  }

  /** Sends commands in one frame. */
  send(...commands: object[]): void {
    this.raw(commands.map((command) => JSON.stringify(command)).join('\n'))
  }

  /** Sends one command with an id of its own, and gives the next line that comes, without that id. */
  async call(command: object): Promise<Record<string, unknown>> {
    this.send({ id: ++this.#id, ...command })
    const { id, ...answer } = (await this.next()) as { id: unknown }
    if (id !== this.#id) throw new Error(`Expected the reply ${this.#id}, but got ${JSON.stringify({ id, ...answer })}`)
    return answer
  }

  /** The next line, parsed. */
  async next<Line = Record<string, unknown>>(): Promise<Line> {
    return JSON.parse(await this.nextText()) as Line
  }

  /** The next line as it came. */
  async nextText(): Promise<string> {
    if (this.#lines.length === 0) this.#lines = (await this.socket.nextRaw()).data.toString().split('\n')
    return this.#lines.shift() as string
  }

  closed(): Promise<{ code: number; reason: string }> {
    return this.socket.closed()
  }
}
