import type { Command } from 'ioredis'
import { commandClassOf } from '../../dependencies.ts'
import type { RedisClient } from './options.ts'

export type RedisArgument = string | number | Buffer

/** @param routing The first arguments, as far as ioredis needs them to find the server of a cluster. */
export type SendEncoded = (
  name: string,
  args: readonly RedisArgument[],
  routing: readonly RedisArgument[]
) => Promise<unknown>

type CommandClass = typeof Command
type EncodedClass = new (name: string, encoded: Buffer, routing: readonly RedisArgument[]) => Command

// One class for all clients: the code that handles commands is faster if they are of few classes.
const classes = new WeakMap<CommandClass, EncodedClass>()

/**
 * Sends commands of a client that are encoded in one piece. ioredis encodes argument by argument, and turns
 * each into a Buffer of its own if one of them is a Buffer. For a publish with its 25 arguments that costs more than
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
  let made = classes.get(Base)
  if (made === undefined) {
    made = class EncodedCommand extends Base {
      readonly #encoded: Buffer

      constructor(name: string, encoded: Buffer, routing: readonly RedisArgument[]) {
        super(name, [...routing], { replyEncoding: 'utf8' })
        this.#encoded = encoded
      }

      override toWritable(): Buffer {
        return this.#encoded
      }
    }
    classes.set(Base, made)
  }
  return made
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
