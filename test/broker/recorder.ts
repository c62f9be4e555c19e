import { EventEmitter, once } from 'node:events'
import type { BrokerListener, PresenceEventKind, Publication } from '../../lib/broker/broker.ts'

/** What a broker told its node, in order, and a way to await what it will tell. */
export class Recorder implements BrokerListener {
  readonly publications: Array<{
    channel: string
    offset: number
    epoch: string
    data: string
    info?: string
    except?: string
    tags?: Record<string, string>
    binary?: true
  }> = []
  /** When the publications were published. */
  readonly times: number[] = []
  readonly presences: Array<{ channel: string; kind: PresenceEventKind; info: string }> = []
  /** The channels of messages that could not be read. */
  readonly unread: string[] = []
  readonly states: boolean[] = []
  readonly causes: Array<Error | undefined> = []
  readonly shards: Array<[name: string, up: boolean, cause?: string]> = []
  readonly audits: string[][] = []
  readonly #told = new EventEmitter().setMaxListeners(100)

  publication(channel: string, { offset, epoch, data, info, except, tags, binary, time = 0 }: Publication): void {
    this.times.push(time)
    const more = { ...(info && { info: info.toString() }), ...(except !== undefined && { except }) }
    const tagged = tags && { tags: Object.fromEntries(tags) }
    const text = binary ? { data: data.toString('latin1'), binary } : { data: data.toString() }
    this.publications.push({ channel, offset, epoch, ...text, ...more, ...tagged })
    this.#told.emit('told')
  }

  presence(channel: string, kind: PresenceEventKind, info: Buffer): void {
    this.presences.push({ channel, kind, info: info.toString() })
    this.#told.emit('told')
  }

  dropped(channel: string): void {
    this.unread.push(channel)
    this.#told.emit('told')
  }

  state(up: boolean, cause?: Error): void {
    this.states.push(up)
    this.causes.push(cause)
    this.#told.emit('told')
  }

  shard(name: string, up: boolean, cause?: Error): void {
    this.shards.push(up ? [name, up] : [name, up, cause?.message])
    this.#told.emit('told')
  }

  audit(channels: Iterable<string>): void {
    this.audits.push([...channels])
    this.#told.emit('told')
  }

  /** Resolves once `holds` is true of what was told; looked at after each thing told. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await once(this.#told, 'told')
  }

  /** Resolves once the broker is up, or away, after so many changes of its state at least. */
  untilState(up: boolean, changes = 1): Promise<void> {
    return this.until(() => this.states.length >= changes && this.states.at(-1) === up)
  }

  /** The data of the publications of one channel. */
  data(channel: string): string[] {
    return this.publications.filter((publication) => publication.channel === channel).map(({ data }) => data)
  }
}
