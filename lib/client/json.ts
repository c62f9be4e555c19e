/** Throws a TypeError if the data has no JSON text. */
export function textOf(data: unknown): string {
  const text = JSON.stringify(data)
  if (text === undefined) throw new TypeError('The data cannot be written as JSON')
  return text
}

/** What the server sends may be no JSON: then it is the application's as it is. */
export function parse(data: unknown): unknown {
  try {
    return typeof data === 'string' ? JSON.parse(data) : data
  } catch {
    return data
  }
}
