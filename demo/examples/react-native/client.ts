import { Centrifuge } from 'centrifuge'
import { connect } from 'fastify-realtime/client'

/** The part of React Native's `AppState` that is used: `import { AppState } from 'react-native'`. */
export interface AppState {
  addEventListener(event: 'change', listener: (state: string) => void): { remove(): void }
}

export interface Message {
  readonly from: string
  readonly text: string
}

/** An open room: sends texts until it is closed. */
export interface Room {
  send(text: string): Promise<unknown>
  close(): void
}

/** Gets a token. Keep the password out of the app: keep a token for refreshing in the keychain, and use that here. */
export async function getToken(server: string, user: string, password: string): Promise<string> {
  const response = await fetch(`${server}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user, password })
  })
  if (!response.ok) throw new Error('no token')
  const { token } = (await response.json()) as { token: string }
  return token
}

/** A room over an `app.ws` route. Texts that are sent offline wait in a queue, and are published once. */
export function openRoom(server: string, token: () => Promise<string>, show: (message: Message) => void): Room {
  const client = connect<unknown, Message>(`${server}/rooms/tea`, { token })
  client.on('publication', ({ data }) => show(data))
  return { send: (text) => client.send({ text }), close: () => client.close() }
}

/** The same room with the published client of channels. In the background it is disconnected, and recovers after. */
export function openChannel(
  server: string,
  token: () => Promise<string>,
  appState: AppState,
  show: (message: Message) => void
): Room {
  const client = new Centrifuge(`${server.replace('http', 'ws')}/connection/websocket`, { getToken: token })
  const room = client.newSubscription('rooms/tea')
  room.on('publication', ({ data }) => show(data))
  room.subscribe()
  const { remove } = appState.addEventListener('change', (state) => {
    if (state === 'active') client.connect()
    else if (state === 'background') client.disconnect()
  })
  client.connect()
  return {
    send: (text) => room.publish({ text }),
    close() {
      remove()
      client.disconnect()
    }
  }
}
