/** The JSON text of the data. Throws a TypeError if there is none. */
export function textOf(data: unknown): string {
  const text = JSON.stringify(data)
  if (text === undefined) throw new TypeError('The data is not JSON')
  return text
}

/** Parses a message of the server. If it is not JSON, the application gets it unchanged. */
export function parse(data: unknown): unknown {
  try {
    return typeof data === 'string' ? JSON.parse(data) : data
  } catch {
    return data
  }
}
