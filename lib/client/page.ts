/** Calls `wake` when the network may be back, or the page, and `offline` when the network is gone. Gives its end. */
export function watchPage(wake: () => void, offline: () => void): () => void {
  const ends: (() => void)[] = []
  // Not every platform has these events, nor all of them.
  const listen = (target: unknown, event: string, listener: () => void) => {
    const { addEventListener, removeEventListener } = (target ?? {}) as Partial<EventTarget>
    if (addEventListener === undefined || removeEventListener === undefined) return
    addEventListener.call(target as EventTarget, event, listener)
    ends.push(() => removeEventListener.call(target as EventTarget, event, listener))
  }
  const { document } = globalThis as { document?: { visibilityState?: string } }
  listen(globalThis, 'online', wake)
  listen(globalThis, 'pageshow', wake)
  listen(globalThis, 'offline', offline)
  listen(document, 'visibilitychange', () => {
    if (document?.visibilityState === 'visible') wake()
  })
  return () => {
    for (const end of ends) end()
  }
}

/** The URL of a WebSocket: relative ones belong to the page. */
export function absolute(url: string): string {
  const { location } = globalThis as { location?: { href: string } }
  const full = /^\w+:/.test(url) || location === undefined ? url : new URL(url, location.href).href
  return full.replace(/^http/, 'ws')
}
