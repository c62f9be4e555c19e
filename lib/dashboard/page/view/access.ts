const IN_FRAGMENT = /^#key=([\x21-\x7e]+)$/
// A tab may have dashboards of several applications at one address.
const STORE = `fastify-realtime-dashboard:${location.pathname}`

/** The dashboard's key. The tab keeps it, so that a reload needs no new one. */
export class Access {
  #key: string | undefined = stored()

  get key(): string | undefined {
    return this.#key
  }

  /**
   * Takes the key out of the address, so that a copied link or a picture of the window does not pass it on. Returns
   * whether there was one.
   */
  takeFromAddress(): boolean {
    const [, key] = IN_FRAGMENT.exec(location.hash) ?? []
    if (key === undefined) return false
    this.hold(decodeURIComponent(key))
    history.replaceState(null, '', location.pathname + location.search)
    return true
  }

  hold(key: string | undefined): void {
    this.#key = key
    try {
      if (key === undefined) sessionStorage.removeItem(STORE)
      else sessionStorage.setItem(STORE, key)
    } catch {
      // Storage is forbidden: the key lasts as long as the page.
    }
  }
}

function stored(): string | undefined {
  try {
    return sessionStorage.getItem(STORE) ?? undefined
  } catch {
    return undefined // storage is forbidden
  }
}
