import { Command } from 'ioredis'

export type RedisArgument = string | number | Buffer

/**
 * A command that is encoded in one piece. ioredis encodes argument by argument, and turns each into a Buffer of its own
 * if one of them is a Buffer. For a publish with its 25 arguments that costs more than everything else together.
 */
export class EncodedCommand extends Command {
  readonly #encoded: Buffer

  /** @param routing The first arguments, as far as ioredis needs them to find the server of a cluster. */
  constructor(name: string, args: readonly RedisArgument[], routing: readonly RedisArgument[]) {
    super(name, [...routing], { replyEncoding: 'utf8' })
    this.#encoded = encodeCommand(name, args)
  }

  override toWritable(): Buffer {
    return this.#encoded
  }
}

/** An array of bulk strings, as the protocol of Redis has a command. */
export function encodeCommand(name: string, args: readonly RedisArgument[]): Buffer {
  const parts: (string | Buffer)[] = []
  let length = 0
  let text = `*${args.length + 1}\r\n${bulkString(name)}`
  for (const arg of args) {
    if (typeof arg !== 'object') {
      text += bulkString(`${arg}`)
      continue
    }
    text += `$${arg.length}\r\n`
    parts.push(text, arg)
    length += Buffer.byteLength(text) + arg.length
    text = '\r\n'
  }
  parts.push(text)
  const encoded = Buffer.allocUnsafe(length + Buffer.byteLength(text))
  let at = 0
  for (const part of parts) at += typeof part === 'string' ? encoded.write(part, at) : part.copy(encoded, at)
  return encoded
}

function bulkString(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`
}
