import type { Position } from './position.ts'

/**
 * The positions that a client resumes from, as they stand in the parameter `since` of its handshake's URL: base64url
 * of the JSON text `{ channel: [offset, epoch] }`.
 */

// A client may be subscribed to as many channels as its route allows, but a URL is not much longer than this anyway.
const MAX_LENGTH = 16_384
const MAX_EPOCH = 64

/** What a `since` says; undefined if it is of another kind, as `<epoch>:<offset>` is. */
export function parsePositions(since: string | null): Map<string, Position> | undefined {
  if (since === null || since.length > MAX_LENGTH || !/^[\w-]+$/.test(since)) return undefined
  let value: unknown
  try {
    const binary = atob(since.replaceAll('-', '+').replaceAll('_', '/'))
    value = JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0))))
  } catch {
    return undefined // not base64url, or no JSON: some other application's parameter
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
