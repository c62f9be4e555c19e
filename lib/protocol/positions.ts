import type { Position } from './position.ts'

/**
 * The positions from which a client resumes. The parameter `since` of the handshake's URL contains them: base64url of
 * the JSON text `{ channel: [offset, epoch] }`.
 */

// The route limits the number of channels, but a URL is rarely longer than this anyway.
const MAX_LENGTH = 16_384
const MAX_EPOCH = 64

/** Reads the parameter `since`. Returns undefined if it has another form, for example `<epoch>:<offset>`. */
export function parsePositions(since: string | null): Map<string, Position> | undefined {
  if (since === null || since.length > MAX_LENGTH || !/^[\w-]+$/.test(since)) return undefined
  let value: unknown
  try {
    const binary = atob(since.replaceAll('-', '+').replaceAll('_', '/'))
    value = JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0))))
  } catch {
    return undefined // not base64url, or not JSON: the parameter has another meaning in this application
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const positions = new Map<string, Position>()
  for (const [channel, position] of Object.entries(value)) {
    if (!Array.isArray(position)) return undefined
    const [offset, epoch] = position as unknown[]
    if (!Number.isSafeInteger(offset) || (offset as number) < 0) return undefined
    if (typeof epoch !== 'string' || epoch.length > MAX_EPOCH) return undefined
    positions.set(channel, { offset: offset as number, epoch })
  }
  return positions
}
