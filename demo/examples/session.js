// What the pages share: the login, and a client that shows its state.

/** The user's name. Without a session, the page asks for a login first. */
export async function login() {
  const known = await fetch('/me')
  const user = known.ok ? (await known.json()).user : await ask()
  document.querySelector('#user').textContent = user
  document.querySelector('#login').hidden = true
  document.querySelector('main').hidden = false
  document.querySelector('#logout').hidden = false
  document.querySelector('#logout').onclick = () => fetch('/logout', { method: 'POST' })
  return user
}

function ask() {
  const form = document.querySelector('#login')
  form.hidden = false
  return new Promise((resolve) => {
    form.onsubmit = async (event) => {
      event.preventDefault()
      const response = await send('POST', '/login', Object.fromEntries(new FormData(form)))
      const answer = await response.json()
      form.querySelector('output').textContent = answer.message ?? ''
      if (response.ok) resolve(answer.user)
    }
  })
}

/** Sends a request with a body of JSON. */
export function send(method, url, body) {
  return fetch(url, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
}

/** A client of the channel protocol. The session's cookie says who it is. */
export function createClient() {
  const client = new Centrifuge(`${location.origin.replace('http', 'ws')}/connection/websocket`)
  const status = document.querySelector('#status')
  client.on('state', ({ newState }) => {
    status.textContent = newState
  })
  // After a logout, in this tab or another one, the server refuses the cookie.
  client.on('disconnected', () => location.reload())
  return client
}
