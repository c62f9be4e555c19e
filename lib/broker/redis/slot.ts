// The remainder of each byte in CRC-16/XMODEM, the checksum by which Redis Cluster assigns keys to slots.
const REMAINDERS = Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte << 8
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 0x8000 ? (remainder << 1) ^ 0x1021 : remainder << 1
  return remainder & 0xffff
})

/** The hash slot (0 to 16383) of a key. If its first pair of braces is not empty, only the text in it is hashed. */
export function redisSlot(key: string): number {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  const hashed = close > open + 1 ? key.slice(open + 1, close) : key
  let crc = 0
  for (const byte of Buffer.from(hashed)) crc = ((crc << 8) & 0xffff) ^ (REMAINDERS[(crc >> 8) ^ byte] as number)
  return crc % 16_384
}
