/**
 * Calls `wake` if the network may be available again or the page is visible again, and `offline` if the network is
 * unavailable. Returns a function that removes the listeners.
 */
export function watchPage(wake: () => void, offline: () => void): () => void {
  const removers: (() => void)[] = []
  // Some platforms have none of these events, or only some of them.
  const listen = (target: unknown, event: string, listener: () => void) => {
    const { addEventListener, removeEventListener } = (target ?? {}) as Partial<EventTarget>
    if (!addEventListener || !removeEventListener) return
    addEventListener.call(target as EventTarget, event, listener)
    removers.push(() => removeEventListener.call(target as EventTarget, event, listener))
  }
  const { document } = globalThis as { document?: { visibilityState?: string } }
  listen(globalThis, 'online', wake)
  listen(globalThis, 'pageshow', wake)
  listen(globalThis, 'offline', offline)
  listen(document, 'visibilitychange', () => {
    if (document?.visibilityState === 'visible') wake()
  })
  return () => {
    for (const remove of removers) remove()
  }
}

/** The absolute URL of a WebSocket. A relative URL is resolved against the URL of the page. */
export function absolute(url: string): string {
  const { location } = globalThis as { location?: { href: string } }
  const full = /^\w+:/.test(url) || location === undefined ? url : new URL(url, location.href).href
  return full.replace(/^http/, 'ws')
}
