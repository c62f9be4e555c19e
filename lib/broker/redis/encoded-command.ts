import type { Command } from 'ioredis'
import { commandClassOf } from '../../dependencies.ts'
import type { RedisClient } from './options.ts'

export type RedisArgument = string | number | Buffer

/** @param routing The first arguments. ioredis needs them to find the server in a cluster. */
export type SendEncoded = (
  name: string,
  args: readonly RedisArgument[],
  routing: readonly RedisArgument[]
) => Promise<unknown>

type CommandClass = typeof Command
type EncodedClass = new (name: string, encoded: Buffer, routing: readonly RedisArgument[]) => Command

// All clients share one class, because the engine handles objects of few classes faster.
const classes = new WeakMap<CommandClass, EncodedClass>()

/**
 * Returns a function that encodes a command in one piece and sends it. ioredis encodes each argument separately, and
 * makes each one a Buffer if one of them is a Buffer. For a publish with its 25 arguments, that costs more than
 * everything else together.
 */
export function encodedSender(client: RedisClient): SendEncoded {
  const EncodedCommand = encodedClass(commandClassOf(client))
  return (name, args, routing) => {
    const command = new EncodedCommand(name, encodeCommand(name, args), routing)
    client.sendCommand(command)
    return command.promise
  }
}

function encodedClass(Base: CommandClass): EncodedClass {
  let subclass = classes.get(Base)
  if (subclass === undefined) {
    subclass = class EncodedCommand extends Base {
      readonly #encoded: Buffer

      constructor(name: string, encoded: Buffer, routing: readonly RedisArgument[]) {
        super(name, [...routing], { replyEncoding: 'utf8' })
        this.#encoded = encoded
      }

      override toWritable(): Buffer {
        return this.#encoded
      }
    }
    classes.set(Base, subclass)
  }
  return subclass
}

/** Encodes a command as the Redis protocol requires it: an array of bulk strings. */
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
