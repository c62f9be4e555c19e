import type { Position } from '../protocol/position.ts'

// A URL that any proxy takes.
const MAX_LENGTH = 3_000

/** How far the client is in each channel. */
export class Positions {
  readonly #positions = new Map<string, Position>()

  get(channel: string): Position | undefined {
    return this.#positions.get(channel)
  }

  set(channel: string, { offset, epoch }: Position): void {
    // The newest stand last.
    this.#positions.delete(channel)
    this.#positions.set(channel, { offset, epoch })
  }

  delete(channel: string): void {
    this.#positions.delete(channel)
  }

  /** Whether a publication is new here. `isOld`: it comes from a connection that another one takes over from. */
  advance(channel: string, position: Position, isOld: boolean): boolean {
    const known = this.#positions.get(channel)
    if (known?.epoch === position.epoch ? position.offset <= known.offset : known !== undefined && isOld) return false
    this.set(channel, position)
    return true
  }

  /**
   * A subscription begins here, or goes on from here, without what was before. Whether the client has missed anything:
   * `wasGiven` if the server was given a position of the client's, and does not go on from it.
   */
  restart(channel: string, position: Position, wasGiven: boolean): boolean {
    const known = this.#positions.get(channel)
    const isNewer = known?.epoch !== position.epoch || known.offset < position.offset
    // Without an epoch the channel has no positions.
    if (isNewer && position.epoch !== '') this.set(channel, position)
    // A position that did not fit into the URL is compared here.
    return wasGiven || (known !== undefined && isNewer)
  }

  /** The positions as the parameter `since` has them, and the channels that stand in it: as many as a URL takes. */
  since(): { readonly text: string; readonly channels: Set<string> } {
    const entries: string[] = []
    const channels = new Set<string>()
    let length = 2
    for (const [channel, { offset, epoch }] of [...this.#positions].reverse()) {
      const entry = `${ascii(channel)}:[${offset},${ascii(epoch)}]`
      length += entry.length + 1
      if (length > MAX_LENGTH) break
      entries.push(entry)
      channels.add(channel)
    }
    return { text: base64url(`{${entries}}`), channels }
  }
}

/** A JSON string of ASCII only: what encodes UTF-8 is not there everywhere. */
function ascii(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}

function base64url(text: string): string {
  return btoa(text).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '')
}
