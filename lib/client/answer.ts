import { textOf } from './json.ts'
import type { Link } from './link.ts'

/** Answers a request of the server, unless its connection is gone by then. */
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
  if (!link.gone) link.send(`{"id":${id},${text}}`)
}
