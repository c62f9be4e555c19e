import { randomUUID } from 'node:crypto'
import type { Broker, Publication } from '../broker/broker.ts'
import type { Delivery } from '../http/http-sessions.ts'
import type { Letter } from '../http/mailbox.ts'
import type { Eventual } from '../input/eventual.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import { type RelayedCommands, readRelayMessage, writeCommands, writeDelivery } from './relay-message.ts'
import { inboxOf } from './roster.ts'
import { isId } from './roster-message.ts'

/** Hands commands to a session of this node. */
export type Deliver = (session: string, letter: Letter) => Delivery

export interface RelayOptions {
  readonly broker: Broker
  readonly wheel: TimerWheel
  /** The id of this node. */
  readonly node: string
  /** True if there are no other nodes: the broker is in the memory of this process. */
  readonly alone: boolean
  readonly deliver: Deliver
  /** Whether there is another node with this id. Rejects if the broker is away. */
  hasNode(node: string): Eventual<boolean>
  /** Reports a failure of the broker that no caller waits for. */
  failed(stage: string, error: unknown): void
  /** Called if a message to this node could not be read. */
  dropped(): void
}

/** `unavailable`: the broker is away. `busy`: too many commands wait for other nodes. */
export type RelayResult = Delivery | 'unavailable' | 'busy'

interface Waiting extends Timed {
  done(result: RelayResult): void
}

// Milliseconds to wait for the answer of a node. After that the node is gone.
const ANSWER_TIMEOUT = 3_000
// Commands that wait for the answers of other nodes, in all.
const MAX_WAITING = 1_000
const MAX_WAITING_BYTES = 16_777_216
// The broker may repeat a message. It does so at once.
const MAX_REMEMBERED = 10_000

/**
 * Brings commands to the node that holds their session. Commands that this node got one after another reach the other
 * node in that order. None is executed twice: a message that the broker repeats is ignored, and nothing is sent again.
 */
export class Relay {
  readonly #options: RelayOptions
  readonly #waiting = new Map<string, Waiting>()
  #waitingBytes = 0
  /** How many commands wait for the list of nodes. */
  #lookups = 0
  /** The ids of the latest messages, the oldest first. */
  readonly #executed = new Set<string>()

  constructor(options: RelayOptions) {
    this.#options = options
  }

  /** Never rejects. */
  async send(node: string, session: string, letter: Letter): Promise<RelayResult> {
    const { node: own, alone, deliver, hasNode } = this.#options
    if (node === own) return deliver(session, letter)
    if (alone || !isId(node)) return 'unknown'
    const found = hasNode(node)
    if (found !== true) {
      // Commands for a node that does not exist would wait for its answer, and others could not be sent meanwhile.
      const fault = await this.#lookUp(found)
      if (fault !== undefined) return fault
    }
    return this.#forward(node, session, letter)
  }

  async #lookUp(found: Eventual<boolean>): Promise<RelayResult | undefined> {
    if (this.#lookups >= MAX_WAITING) return 'busy'
    this.#lookups++
    const fault = await this.#faultOf(found)
    this.#lookups--
    return fault
  }

  async #faultOf(found: Eventual<boolean>): Promise<RelayResult | undefined> {
    try {
      return (await found) ? undefined : 'unknown'
    } catch (error) {
      this.#options.failed('relay', error)
      return 'unavailable'
    }
  }

  #forward(node: string, session: string, letter: Letter): Promise<RelayResult> | 'busy' {
    const { node: own, broker } = this.#options
    if (this.#waiting.size >= MAX_WAITING || this.#waitingBytes + letter.data.length > MAX_WAITING_BYTES) return 'busy'
    const id = randomUUID()
    const answered = this.#awaitAnswer(id, letter.data.length)
    // The call to `publish` comes before anything waits, so that commands keep their order.
    broker.publish(inboxOf(node), writeCommands({ id, from: own, session, ...letter })).catch((error) => {
      this.#options.failed('relay', error)
      this.#waiting.get(id)?.done('unavailable')
    })
    return answered
  }

  /** Called with each message on the channel of this node that is for this class. */
  receive({ data }: Publication): void {
    const message = readRelayMessage(data)
    if (message === undefined) this.#options.dropped()
    else if ('commands' in message) this.#execute(message.commands)
    // If the answer is too late, no one waits for it.
    else this.#waiting.get(message.id)?.done(message.result)
  }

  #awaitAnswer(id: string, bytes: number): Promise<RelayResult> {
    const { wheel } = this.#options
    return new Promise((resolve) => {
      const waiting: Waiting = {
        wheelTick: -1,
        onDue() {
          this.done('unknown')
          return Number.POSITIVE_INFINITY
        },
        done: (result) => {
          this.#waiting.delete(id)
          this.#waitingBytes -= bytes
          wheel.delete(waiting)
          resolve(result)
        }
      }
      this.#waiting.set(id, waiting)
      this.#waitingBytes += bytes
      wheel.set(waiting, wheel.now() + ANSWER_TIMEOUT)
    })
  }

  #execute({ id, from, session, ...letter }: RelayedCommands): void {
    if (this.#executed.has(id)) return
    this.#executed.add(id)
    if (this.#executed.size > MAX_REMEMBERED) this.#executed.delete(this.#executed.values().next().value as string)
    const { broker, deliver, failed } = this.#options
    const result = deliver(session, letter)
    broker.publish(inboxOf(from), writeDelivery(id, result)).catch((error) => failed('relay', error))
  }
}
