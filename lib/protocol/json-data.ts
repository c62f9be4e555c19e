const NULL = Buffer.from('null')

/**
 * The data of a publication for a client that receives JSON: `null` for bytes. Such a client cannot subscribe to a
 * channel that carries bytes, but another node may declare the channel in another way, or did so before.
 */
export function jsonData({ data, binary }: { readonly data: Buffer; readonly binary?: true }): Buffer {
  return binary ? NULL : data
}
