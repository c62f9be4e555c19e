/** One option of the load tool, as the help and docs/load.md show it. */
export interface OptionEntry {
  /** Without its two hyphens. */
  readonly name: string
  /** The name of its value in the help; undefined for a switch. */
  readonly value?: string
  /** May be given more than once. */
  readonly repeats?: true
  /** The default in words; undefined if there is none. */
  readonly fallback?: string
  readonly meaning: string
}

/** Every option, in the order of the help. The one place for names, defaults in words, and meanings. */
export const OPTION_TABLE: readonly OptionEntry[] = [
  {
    name: 'url',
    value: 'URL',
    fallback: 'ws://127.0.0.1:3000',
    meaning: 'the server, and the path of its route (ws, wss, http or https)'
  },
  {
    name: 'channels',
    value: 'N',
    fallback: '10, if the URL has no path',
    meaning: 'use the channel protocol; connections are spread over this number of channels'
  },
  {
    name: 'channel-name',
    value: 'NAME',
    fallback: 'rooms/load-{run}-{n}',
    meaning: 'names of the channels; {n} is the number of each, {run} is new for each run'
  },
  {
    name: 'subscriptions',
    value: 'N',
    fallback: '1',
    meaning: 'channels that each connection subscribes to'
  },
  {
    name: 'rooms',
    value: 'N',
    meaning: 'use this number of app.ws rooms; path /ws/rooms/load-{run}-{n} unless the URL has one'
  },
  {
    name: 'echo',
    meaning: 'each connection gets its messages back; implied if the path ends in /echo or /json'
  },
  { name: 'connections', value: 'N', fallback: '100', meaning: 'connections to open' },
  { name: 'ramp', value: 'TIME', fallback: '1 s for 1,000 connections', meaning: 'time over which they are opened' },
  { name: 'duration', value: 'TIME', fallback: '10', meaning: 'time over which messages are sent' },
  { name: 'rate', value: 'N', fallback: '100', meaning: 'messages published a second, all publishers together' },
  { name: 'messages', value: 'N', fallback: 'no end', meaning: 'stop after this number of published messages' },
  {
    name: 'publishers',
    value: 'N',
    fallback: 'one for each 20 messages a second',
    meaning: 'connections that publish, per channel or room; each keeps its own sequence'
  },
  { name: 'payload', value: 'BYTES', fallback: '128', meaning: 'size of a message, as JSON' },
  {
    name: 'message',
    value: 'JSON',
    fallback: '{"text":"xxx…"}',
    meaning: 'object to publish, if the route has a schema; the key "load" is added to it'
  },
  {
    name: 'slow-readers',
    value: 'N',
    fallback: '0',
    meaning: 'connections that stop reading a quarter into the sending'
  },
  { name: 'slow-for', value: 'TIME', fallback: 'half of the duration', meaning: 'time for which they do not read' },
  {
    name: 'reconnect-storm',
    meaning: 'cut all connections at once in the middle; they come back with full jitter, and recover'
  },
  {
    name: 'token-secret',
    value: 'SECRET',
    fallback: 'the environment’s JWT_SECRET',
    meaning: 'sign a token (HS256) for each connection'
  },
  { name: 'token', value: 'TOKEN', meaning: 'one token for all connections' },
  { name: 'users', value: 'N', fallback: 'one per connection', meaning: 'distinct users to sign tokens for' },
  { name: 'claims', value: 'JSON', fallback: '{}', meaning: 'further claims of the signed tokens' },
  { name: 'origin', value: 'ORIGIN', meaning: 'send this Origin, as a browser would' },
  {
    name: 'expect',
    value: 'CONDITION',
    repeats: true,
    meaning: "a condition such as 'lost=0' or 'p99<250'; the exit status is 1 if it does not hold"
  },
  { name: 'report', value: 'FILE', meaning: 'write the figures and plots to this HTML file' },
  { name: 'json', meaning: 'print one JSON object instead of the table' },
  { name: 'quiet', meaning: 'no progress' },
  { name: 'help', meaning: 'this text' }
]
