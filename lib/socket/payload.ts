import { dataFrame, textFrame } from '../protocol/frame.ts'

/** Options of `ws`'s `send`. */
export interface SendOptions {
  mask?: boolean | undefined
  binary?: boolean | undefined
  compress?: boolean | undefined
  fin?: boolean | undefined
}

// Payloads up to so many bytes are copied into a frame and joined with others. Larger ones are not copied.
const COPY_LIMIT = 16_384

/** The frame of a payload that can be written without `ws`. Undefined if it is large, a fragment, or a Blob. */
export function frameOf(data: unknown, options: SendOptions | null | undefined): Buffer | undefined {
  if (options?.fin !== undefined) return undefined
  const binary = options?.binary ?? typeof data !== 'string'
  if (typeof data === 'string') return data.length <= COPY_LIMIT && !binary ? textFrame(data) : undefined
  return data instanceof Uint8Array && data.byteLength <= COPY_LIMIT ? dataFrame(data, binary) : undefined
}

/** How many bytes a payload has, in any form that `ws` emits or accepts. */
export function sizeOf(data: unknown): number {
  if (typeof data === 'string') return Buffer.byteLength(data)
  if (Array.isArray(data)) return data.reduce((sum: number, part) => sum + sizeOf(part), 0)
  if (data instanceof Blob) return data.size
  return (data as { byteLength?: number } | null)?.byteLength ?? 0
}
