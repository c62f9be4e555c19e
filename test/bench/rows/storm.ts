import { Bench, measured, type Subject } from '../bench.ts'
import { contender, type Row } from '../row.ts'
import { channelGreeting, STORM, tokens } from '../servers/support.ts'

const CONNECTIONS = 5_000
const EACH = 5

/** Five channels for each connection: every channel has the same number of subscribers. */
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
  name: 'channel clients',
  server: 'storm.ts',
  path: '/connection/websocket',
  greetings: tokens(CONNECTIONS).map((token) => channelGreeting(token))
}
const sockets: Subject = { name: 'app.ws', server: 'storm.ts', path: '/subscribe' }
const subjects = [
  sockets,
  channelClients,
  { ...sockets, name: 'app.ws, Redis', redis: true },
  { ...channelClients, name: 'channel clients, Redis', redis: true }
]

/** After a deploy all clients come back at once and ask for what they missed. */
export const storm: Row = {
  name: 'subscribe-storm',
  title: `${CONNECTIONS} connections come back and subscribe to ${EACH} channels each, ${STORM.kept} publications to recover in each`,
  unit: 'subscriptions per CPU second',
  better: 'more',
  long: true,
  contenders: subjects.map((subject) =>
    contender(subject.name, () =>
      Bench.use(subject, async (bench) => {
        const isSocket = subject.path === sockets.path
        await bench.open(CONNECTIONS)
        const texts = isSocket ? lists : commands
        // A socket receives each publication by itself. The reply to a subscription of the protocol contains them.
        const answers = isSocket ? EACH * (STORM.kept + 1) : EACH
        const watched = await bench.watch(() => bench.load.run({ do: 'ask', texts, answers }))
        return measured(watched, (CONNECTIONS * EACH) / watched.cpu)
      })
    )
  ),
  control: sockets.name,
  goals: []
}
