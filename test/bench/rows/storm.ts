import type { Row, Subject } from '../row.ts'
import { channelGreeting, STORM } from '../servers/support.ts'

const CONNECTIONS = 5_000
const EACH = 5

/** Five channels for each connection, so that every channel has as many subscribers. */
const shares = Array.from({ length: STORM.channels.length / EACH }, (_, at) =>
  STORM.channels.slice(at * EACH, at * EACH + EACH)
)
const subscribe = (channel: string, at: number) => ({
  id: at + 10,
  subscribe: { channel, recover: true, epoch: '', offset: 0 }
})
const commands = shares.map((channels) =>
  channels.map((channel, at) => JSON.stringify(subscribe(channel, at))).join('\n')
)
const lists = shares.map((channels) => JSON.stringify(channels))

const channelClients: Subject = {
  name: 'channel protocol',
  server: 'storm',
  path: '/connection/websocket',
  greeting: channelGreeting()
}
const sockets: Subject = { name: 'app.ws', server: 'storm', path: '/subscribe' }

/** What a deploy brings: everybody is back at once, and wants what was missed. */
export const storm: Row = {
  name: 'subscribe-storm',
  title: `${CONNECTIONS} connections come back and subscribe to ${EACH} channels each, ${STORM.kept} publications to recover in each`,
  unit: 'subscriptions per CPU second',
  better: 'more',
  subjects: [
    sockets,
    channelClients,
    { ...sockets, name: 'app.ws, Redis', redis: true },
    { ...channelClients, name: 'channel protocol, Redis', redis: true }
  ],
  control: 'app.ws',
  expected: {},
  async measure(bench, { path }) {
    const isSocket = path === sockets.path
    await bench.open(path, CONNECTIONS)
    const texts = isSocket ? lists : commands
    // A socket gets each publication by itself; the protocol's reply to a subscription has them in it.
    const answers = isSocket ? EACH * (STORM.kept + 1) : EACH
    const { cpu, messages: _, ...rest } = await bench.watch(() => bench.load.run({ do: 'ask', texts, answers }))
    return { value: (CONNECTIONS * EACH) / cpu, ...rest }
  }
}
