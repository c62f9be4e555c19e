const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~'

/** Applies a Fossil delta, by its published definition. Throws if it is not one of this source. */
export function applyFossil(source: Buffer, delta: Buffer): Buffer {
  let at = 0
  const number = (): number => {
    let value = 0
    for (; at < delta.length; at++) {
      const digit = DIGITS.indexOf(String.fromCharCode(delta[at] as number))
      if (digit < 0) break
      value = value * 64 + digit
    }
    return value
  }
  const symbol = () => String.fromCharCode(delta[at++] as number)
  const size = number()
  if (symbol() !== '\n') throw new Error('the size has no end')
  const parts: Buffer[] = []
  for (;;) {
    const count = number()
    const command = symbol()
    if (command === '@') {
      const from = number()
      if (symbol() !== ',') throw new Error('a copy has no end')
      if (from + count > source.length) throw new Error('a copy is from behind the source')
      parts.push(source.subarray(from, from + count))
    } else if (command === ':') {
      parts.push(delta.subarray(at, at + count))
      at += count
    } else if (command === ';') {
      const target = Buffer.concat(parts)
      if (target.length !== size || at !== delta.length) throw new Error('the size is wrong')
      if (checksum(target) !== count) throw new Error('the checksum is wrong')
      return target
    } else throw new Error(`no such command: ${command}`)
  }
}

function checksum(bytes: Buffer): number {
  const padded = Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
  let sum = 0
  for (let at = 0; at < padded.length; at += 4) sum = (sum + padded.readUInt32BE(at)) % 2 ** 32
  return sum
}
