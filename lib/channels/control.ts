import { randomUUID } from 'node:crypto'
import type { Broker } from '../broker/broker.ts'
import { CLOSE } from '../protocol/close-codes.ts'
import type { RealtimeSocket } from '../socket/realtime-socket.ts'
import type { Registry } from '../socket/registry.ts'
import type { TimerWheel } from '../socket/timer-wheel.ts'
import type { Hub } from './hub.ts'

interface ControlTarget {
  readonly user?: string
  readonly connection?: string
}

/** A request to all nodes, as it goes over the broker. */
type Command = { readonly node?: string; readonly target: ControlTarget } & (
  | { readonly do: 'disconnect'; readonly code: number; readonly reason: string }
  | { readonly do: 'unsubscribe'; readonly channel: string }
  | { readonly do: 'refresh'; readonly expiresAt: number }
)

export interface ControlOptions {
  readonly broker: Broker
  readonly hub: Hub
  readonly registry: Registry
  readonly wheel: TimerWheel
  failed(stage: string, error: unknown): void
}

/** What one node asks of all: this one obeys at once, the others when the broker has told them. */
export class Control {
  readonly #options: ControlOptions
  readonly #node = randomUUID()

  constructor(options: ControlOptions) {
    this.#options = options
  }

  disconnect(target: ControlTarget, options: { code?: number; reason?: string }): Promise<void> {
    const { code = CLOSE.forbidden.code, reason = code === CLOSE.forbidden.code ? CLOSE.forbidden.reason : '' } =
      options
    return this.#send({ target, do: 'disconnect', code, reason })
  }

  unsubscribe(target: ControlTarget, channel: string): Promise<void> {
    return this.#send({ target, do: 'unsubscribe', channel })
  }

  refresh(target: ControlTarget, expiresAt: number): Promise<void> {
    return this.#send({ target, do: 'refresh', expiresAt })
  }

  /** A message of a node came. */
  receive(message: Buffer): void {
    try {
      const command = JSON.parse(message.toString()) as Command
      if (command.node !== this.#node) this.#obey(command)
    } catch (error) {
      // A node of another version, or a stranger on the channel.
      this.#options.failed('control', error)
    }
  }

  async #send(command: Command): Promise<void> {
    this.#obey(command)
    await this.#options.broker.sendControl(Buffer.from(JSON.stringify({ ...command, node: this.#node })))
  }

  #obey(command: Command): void {
    for (const socket of this.#options.registry.find(command.target)) this.#apply(command, socket)
  }

  #apply(command: Command, socket: RealtimeSocket): void {
    const { hub, wheel } = this.#options
    if (command.do === 'disconnect') socket.close(command.code, command.reason)
    else if (command.do === 'unsubscribe') hub.unsubscribe(socket, command.channel)
    else socket.extend(wheel.now() + command.expiresAt * 1000 - Date.now())
  }
}
