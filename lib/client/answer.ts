import { textOf } from './json.ts'
import type { Link } from './link.ts'

/** Answers a request of the server, unless the connection is lost before the answer is ready. */
export async function answer(
  link: Link,
  id: number,
  data: unknown,
  respond: (data: unknown) => unknown
): Promise<void> {
  let text: string
  try {
    text = `"reply":${textOf((await respond(data)) ?? null)}`
  } catch (error) {
    const { code = 'internal', message } = Object(error)
    text = `"error":${JSON.stringify({ code, message })}`
  }
  if (!link.lost) link.send(`{"id":${id},${text}}`)
}
