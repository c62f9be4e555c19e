// On the timeline it has this colour, too.
export const GUIDE = 'Guide'
const COLOURS = ['red', 'amber', 'green', 'blue', 'violet']
// More avatars do not fit beside the rest of the bar.
const SHOWN = 5

/** The colour of a user, the same on every page: by FNV-1a, whose upper bits are well mixed. */
export function colourOf(user) {
  if (user === GUIDE) return 'violet'
  let hash = 0x811c9dc5
  for (const letter of user) hash = Math.imul(hash ^ letter.codePointAt(0), 0x01000193) >>> 0
  return COLOURS[(hash >>> 7) % COLOURS.length]
}

/** The people on the board: a row of avatars, the user first. A user with two open pages is one person. */
export class People {
  #list
  /** The user of each client. @type {Map<string, string>} */
  #clients = new Map()
  #self = ''
  /** How many clients came or left. */
  changes = 0

  /** @param {HTMLElement} list */
  constructor(list) {
    this.#list = list
  }

  /** @returns {{ client: string, user: string }[]} */
  get clients() {
    return Array.from(this.#clients, ([client, user]) => ({ client, user }))
  }

  /** @param {{ client: string, user: string }[]} clients @param {string} self the user of this page */
  show(clients, self) {
    this.#self = self
    this.#clients = new Map(clients.map(({ client, user }) => [client, user]))
    this.#render()
  }

  join({ client, user }) {
    this.changes++
    this.#clients.set(client, user)
    this.#render()
  }

  leave({ client }) {
    this.changes++
    this.#clients.delete(client)
    this.#render()
  }

  #render() {
    const users = [...new Set(this.#clients.values())].sort(
      (a, b) => Number(b === this.#self) - Number(a === this.#self)
    )
    const more = users.slice(SHOWN)
    const people = users.slice(0, SHOWN).map((user) => person(user, user === this.#self))
    if (more.length > 0) people.push(rest(more))
    this.#list.replaceChildren(...people)
  }
}

function person(user, isSelf) {
  const item = document.createElement('li')
  item.dataset.user = user
  item.title = user
  const avatar = document.createElement('span')
  avatar.className = 'avatar'
  avatar.dataset.colour = colourOf(user)
  avatar.ariaHidden = 'true'
  avatar.textContent = initialsOf(user)
  const name = document.createElement('span')
  name.className = 'person'
  name.textContent = isSelf ? `${user} (you)` : user
  item.append(avatar, name)
  return item
}

function rest(users) {
  const item = document.createElement('li')
  item.className = 'more'
  item.title = users.join(', ')
  item.textContent = `and ${users.length} more`
  return item
}

function initialsOf(user) {
  const [first = '', second = ''] = user.split(/[\s_-]+/u)
  const letters = [...first].slice(0, 1).concat([...second].slice(0, 1))
  return letters.join('').toUpperCase()
}
