import { adminKey } from '/admin-key.js'
import { fetchToken } from '/token.js'

const KEY = 'dashboard-access'
const NO_KEY = 'The dashboard requires the administrator key: open the address that the demo printed when it started.'

/**
 * The administrator's token: the demo gives it for the administrator key, or the user pastes one. The tab keeps it, so
 * that a reload needs no new sign-in.
 */
export class Access {
  /** @type {{ token: string, user?: string } | undefined} `user` if the demo gave it, and will give another */
  #held = stored()
  #isFresh = true

  get isSignedIn() {
    return this.#held !== undefined
  }

  /** Requests a token of the demo. Rejects with a `message` for the user. @param {string} user */
  async signIn(user) {
    const token = await request(user)
    if (token === undefined) throw new Error(NO_KEY)
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

  /** For the connection, which asks again only if the last token is no longer valid; undefined for none. */
  async getToken() {
    if (!this.#isFresh) await this.renew()
    const { token } = this.#isFresh ? (this.#held ?? {}) : {}
    this.#isFresh = false
    return token
  }

  /** Gets a new token in place of the present one, if the demo gave that, and returns whether there is one. */
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

/** A token with the claim `admin`; undefined without a key that the server accepts. */
async function request(user) {
  const token = adminKey() === undefined ? undefined : await fetchToken(user)
  // A refused key is forgotten, and the token has no claim `admin`.
  return adminKey() === undefined ? undefined : token
}

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') ?? undefined
  } catch {
    // Storage may be forbidden: then each load needs a sign-in.
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
