import { isUtf8 } from 'node:buffer'
import type { Encoding } from '../session/encodings/encoding.ts'

/** Why the first command of a client is not one `connect`, which is all that a stream may begin with. */
export function connectFault(data: Buffer, encoding: Encoding, maxDepth: number): string | undefined {
  // The text of a WebSocket is checked when it is received.
  if (!encoding.isBinary && !isUtf8(data)) return 'give a text in UTF-8'
  const [command] = encoding.split(data, 1) ?? []
  if (command === undefined) return 'give one command'
  const read = encoding.read(command, maxDepth)
  return typeof read === 'object' && 'name' in read && read.name === 'connect' ? undefined : 'give a connect command'
}
