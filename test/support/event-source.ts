/*
 * What the published client needs of a browser's EventSource, over fetch: Node 20 has none. It follows the parsing rules
 * of HTML, section 9.2.6, for the field `data`, and does not reconnect: the client closes it at the first error.
 */

export class FetchEventSource {
  onopen: (() => void) | null = null
  onerror: ((event: Event) => void) | null = null
  onmessage: ((event: { data: string }) => void) | null = null
  readonly #abort = new AbortController()

  constructor(url: string | URL, { headers = {} }: { headers?: Record<string, string> } = {}) {
    this.#read(url, headers).catch(() => this.#failed())
  }

  close(): void {
    this.#abort.abort()
  }

  async #read(url: string | URL, headers: Record<string, string>): Promise<void> {
    const { signal } = this.#abort
    const response = await fetch(url, { headers: { ...headers, accept: 'text/event-stream' }, signal })
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream')
    if (response.status !== 200 || !isStream) throw new Error(String(response.status))
    this.onopen?.()
    const parser = new EventParser((data) => this.onmessage?.({ data }))
    const decoder = new TextDecoder()
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      parser.feed(decoder.decode(chunk, { stream: true }))
    }
    throw new Error('ended')
  }

  #failed(): void {
    if (!this.#abort.signal.aborted) this.onerror?.(new Event('error'))
  }
}

/** Finds the events in a stream of text. */
export class EventParser {
  readonly #found: (data: string) => void
  #rest = ''
  #lines: string[] = []

  constructor(found: (data: string) => void) {
    this.#found = found
  }

  feed(text: string): void {
    const lines = `${this.#rest}${text}`.split(/\r\n|\r|\n/)
    this.#rest = lines.pop() as string
    for (const line of lines) {
      if (line.startsWith('data:')) this.#lines.push(line.slice(5).replace(/^ /, ''))
      if (line !== '' || this.#lines.length === 0) continue
      this.#found(this.#lines.splice(0).join('\n'))
    }
  }
}
