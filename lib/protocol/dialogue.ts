/**
 * The forms of messages that `app.ws` routes understand if they ask for them: requests and replies, in both
 * directions, and messages that a client queued while it was away. `docs/protocol.md` describes each.
 */

/** A request has exactly these keys, a reply `id` and one of the other two. */
export type Dialogue =
  | { readonly id: number; readonly request: unknown }
  | { readonly id: number; readonly reply: unknown }
  | { readonly id: number; readonly error: unknown }

/** A message that was queued while its sender was away. */
export interface KeyedMessage {
  readonly key: string
  readonly message: unknown
}

const KINDS = ['request', 'reply', 'error']

/** The value as a request or a reply; undefined for any other message. */
export function dialogueOf(value: unknown): Dialogue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const keys = Object.keys(value)
  const { id } = value as { id?: unknown }
  if (keys.length !== 2 || !Number.isSafeInteger(id) || !keys.includes('id')) return undefined
  return keys.some((key) => KINDS.includes(key)) ? (value as Dialogue) : undefined
}

/** The value as a keyed message; undefined for any other. Whether the key is one is not checked. */
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

/** The text of a reply that says what went wrong. */
export function failureMessage(id: number, error: object): string {
  return JSON.stringify({ id, error })
}
