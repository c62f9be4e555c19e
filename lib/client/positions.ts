import type { Position } from '../protocol/position.ts'

// A URL of this length is accepted by all proxies.
const MAX_LENGTH = 3_000

/** The client's position in each channel. */
export class Positions {
  readonly #positions = new Map<string, Position>()

  set(channel: string, { offset, epoch }: Position): void {
    // Delete first, so that the channels with the newest publications are at the end of the map.
    this.#positions.delete(channel)
    this.#positions.set(channel, { offset, epoch })
  }

  delete(channel: string): void {
    this.#positions.delete(channel)
  }

  /**
   * Returns true if a publication is new for the client, and stores its position.
   * @param isOld True if it comes from a connection that is being replaced.
   */
  advance(channel: string, position: Position, isOld: boolean): boolean {
    const known = this.#positions.get(channel)
    if (known?.epoch === position.epoch ? position.offset <= known.offset : known !== undefined && isOld) return false
    this.set(channel, position)
    return true
  }

  /**
   * Called if a subscription starts at this position, without earlier publications. Returns true if the client has
   * missed publications.
   * @param wasGiven True if the client had sent its position, and the server does not continue from it.
   */
  restart(channel: string, position: Position, wasGiven: boolean): boolean {
    const known = this.#positions.get(channel)
    const isNewer = known?.epoch !== position.epoch || known.offset < position.offset
    // Without an epoch the channel has no positions.
    if (isNewer && position.epoch !== '') this.set(channel, position)
    // The client's position may not have fitted into the URL. It is then compared here.
    return wasGiven || (known !== undefined && isNewer)
  }

  /** The value of the parameter `since`, and the channels in it: the newest ones, as many as fit into a URL. */
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

/** A JSON string of ASCII characters only, because not every platform can encode UTF-8. */
function ascii(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}

function base64url(text: string): string {
  return btoa(text).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '')
}
