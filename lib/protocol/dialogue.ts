/**
 * The messages that an `app.ws` route handles if its options enable them: requests and replies, in both directions, and
 * messages that a client queued while it was offline. `docs/protocol.md` describes each.
 */

/** A request or a reply has exactly these two keys. */
export type Dialogue =
  | { readonly id: number; readonly request: unknown }
  | { readonly id: number; readonly reply: unknown }
  | { readonly id: number; readonly error: unknown }

/** A message that was queued while its sender was offline. */
export interface KeyedMessage {
  readonly key: string
  readonly message: unknown
}

const KIND_KEYS = ['request', 'reply', 'error']

/** Returns the value if it is a request or a reply, and undefined for any other message. */
export function dialogueOf(value: unknown): Dialogue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const keys = Object.keys(value)
  const { id } = value as { id?: unknown }
  if (keys.length !== 2 || !Number.isSafeInteger(id) || !keys.includes('id')) return undefined
  return keys.some((key) => KIND_KEYS.includes(key)) ? (value as Dialogue) : undefined
}

/** Returns the value if it is a keyed message, and undefined for any other. Does not check that the key is valid. */
export function keyedOf(value: unknown): KeyedMessage | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const isKeyed = Object.keys(value).length === 2 && 'message' in value && 'key' in value
  return isKeyed && typeof value.key === 'string' ? (value as KeyedMessage) : undefined
}

/** The text of a request, around the JSON text of its data. */
export function requestMessage(id: number, text: string): string {
  return `{"id":${id},"request":${text}}`
}

/** The text of a reply, around the JSON text of its data. */
export function replyMessage(id: number, text: string): string {
  return `{"id":${id},"reply":${text}}`
}

/** The text of a reply with an error. */
export function failureMessage(id: number, error: object): string {
  return JSON.stringify({ id, error })
}
