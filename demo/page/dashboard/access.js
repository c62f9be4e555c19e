const KEY = 'dashboard-access'
const FORBIDDEN = 403
const NOT_FROM_HERE =
  'This address gives no administrator’s token: ask from the machine that the demo runs on, or paste one.'

/**
 * The administrator's token: given by the demo to whoever sits at its machine, or pasted. It is kept for as long as the
 * tab is, so that a reload asks nothing.
 */
export class Access {
  /** @type {{ token: string, user?: string } | undefined} `user` where the demo gave it, and will give another */
  #held = stored()
  #isFresh = true

  get isSignedIn() {
    return this.#held !== undefined
  }

  /** Asks the demo for a token. Rejects with a `message` for the user. @param {string} user */
  async signIn(user) {
    const token = await request(user)
    if (token === undefined) throw new Error(NOT_FROM_HERE)
    this.#hold({ token, user })
  }

  /** @param {string} token */
  use(token) {
    this.#hold({ token })
  }

  forget() {
    this.#held = undefined
    store(undefined)
  }

  /** For the connection, which asks again only where the last one is not good any more; undefined for none. */
  async getToken() {
    if (!this.#isFresh) await this.renew()
    const { token } = this.#isFresh ? (this.#held ?? {}) : {}
    this.#isFresh = false
    return token
  }

  /** Gets a new token in place of the one that is held, where the demo gave that, and says whether there is one. */
  async renew() {
    const { user } = this.#held ?? {}
    const token = user === undefined ? undefined : await request(user)
    if (token !== undefined) this.#hold({ token, user })
    return token !== undefined
  }

  #hold(held) {
    this.#held = held
    this.#isFresh = true
    store(held)
  }
}

async function request(user) {
  const response = await fetch('/api/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user, admin: true })
  })
  if (response.status === FORBIDDEN) return undefined
  if (!response.ok) throw new Error(`The demo gave no token (HTTP ${response.status}).`)
  const { token } = await response.json()
  return token
}

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') ?? undefined
  } catch {
    // Storage may be forbidden: then one signs in with each load.
    return undefined
  }
}

function store(held) {
  try {
    if (held === undefined) sessionStorage.removeItem(KEY)
    else sessionStorage.setItem(KEY, JSON.stringify(held))
  } catch {
    // As above.
  }
}
