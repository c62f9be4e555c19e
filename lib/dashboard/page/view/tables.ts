import type { ChannelDepth, TableAnswer } from '../../messages.ts'
import { keyOf, type Query, type View } from '../../query.ts'
import { MAX_ROWS } from '../../rows.ts'
import { bytes, count, duration, latency, NONE, rate } from '../model/format.ts'
import { mergeChannels, mergeConnections, type ShownChannel, type ShownConnection } from '../model/tables.ts'
import { DataTable, type Order } from './data-table.ts'
import { inside, part, write } from './element.ts'

const TYPING = 250
const VIEWS: readonly View[] = ['connections', 'channels']

export interface TablesOptions {
  /** The nodes must be asked for another query. */
  queried(): void
  disconnect(row: ShownConnection): void
  /** The user wants to see all subscriptions of a connection. */
  detail(row: ShownConnection): void
}

/** The tables of connections and of channels, of which one is shown, and the search for both. */
export class Tables {
  readonly #options: TablesOptions
  readonly #connections: DataTable<ShownConnection>
  readonly #channels: DataTable<ShownChannel>
  /** The latest answer of each node. */
  readonly #answers = new Map<string, TableAnswer & { isOld?: boolean }>()
  readonly #filter = part<HTMLInputElement>('filter')
  #view: View = 'connections'
  #search = ''
  #detail: string | undefined
  #typing: ReturnType<typeof setTimeout> | undefined
  #isSaid = true
  /** By the names of channels. */
  depths: Readonly<Record<string, ChannelDepth>> = {}

  constructor(options: TablesOptions) {
    this.#options = options
    const ordered = () => this.#look()
    this.#connections = new DataTable({
      table: part<HTMLTableElement>('connections'),
      initial: { order: 'age', descending: false },
      idOf: ({ id }) => id,
      ordered,
      columns: this.#connectionColumns()
    })
    this.#channels = new DataTable({
      table: part<HTMLTableElement>('channels'),
      initial: { order: 'subscribers', descending: true },
      idOf: ({ name }) => name,
      ordered,
      columns: this.#channelColumns()
    })
    this.#filter.addEventListener('input', () => {
      clearTimeout(this.#typing)
      this.#typing = setTimeout(() => this.#searchFor(this.#filter.value.trim()), TYPING)
    })
    this.#listenToTabs()
  }

  get query(): Query {
    const { order, descending }: Order = this.#table.order
    const search = this.#search
    return { view: this.#view, order, descending, search, ...(this.#detail && { detail: this.#detail }) }
  }

  get view(): View {
    return this.#view
  }

  /** The channels that are shown and have a history. */
  get shownChannels(): string[] {
    const rows = this.#view === 'channels' ? this.#channelRows() : []
    return rows.filter(({ epoch }) => epoch !== '').map(({ name }) => name)
  }

  /** Asks for all subscriptions of a connection too, or no longer. */
  set detail(id: string | undefined) {
    if (this.#detail === id) return
    this.#detail = id
    this.#options.queried()
  }

  /** Shows the connections that a text finds. */
  find(text: string): void {
    this.#filter.value = text
    this.#choose('connections')
    this.#searchFor(text)
    this.#filter.focus()
  }

  take(answer: TableAnswer): void {
    // An answer for another page, or for an earlier query of this page.
    if (answer.query === keyOf(this.query)) this.#answers.set(answer.node, answer)
  }

  /** @param names The present nodes, by their ids. */
  show(names: ReadonlyMap<string, string>): void {
    for (const node of this.#answers.keys()) if (!names.has(node)) this.#answers.delete(node)
    const current = [...this.#answers.values()].filter(({ isOld }) => !isOld)
    const isWhole = current.length > 0 && current.length >= names.size
    const shown = this.#view === 'connections' ? this.#showConnections(names, isWhole) : this.#showChannels(isWhole)
    this.#summarize(current, shown, isWhole)
  }

  mark(id: string, isEnding: boolean): void {
    this.#connections.mark(id, isEnding)
  }

  clear(): void {
    this.#answers.clear()
    this.#connections.clear()
    this.#channels.clear()
  }

  get #table(): DataTable<ShownConnection> | DataTable<ShownChannel> {
    return this.#view === 'connections' ? this.#connections : this.#channels
  }

  #showConnections(names: ReadonlyMap<string, string>, isWhole: boolean): number {
    const rows = mergeConnections([...this.#answers.values()], names, this.query).slice(0, MAX_ROWS)
    this.#connections.show(rows, isWhole)
    return rows.length
  }

  #showChannels(isWhole: boolean): number {
    const rows = this.#channelRows()
    this.#channels.show(rows, isWhole)
    return rows.length
  }

  #channelRows(): ShownChannel[] {
    return mergeChannels([...this.#answers.values()], this.depths, this.query).slice(0, MAX_ROWS)
  }

  #searchFor(text: string): void {
    if (text === this.#search) return
    this.#search = text
    this.#look()
  }

  #look(): void {
    this.#table.unsettle()
    this.#isSaid = false
    // The present rows are put in order at once. The answers complete them.
    for (const [node, answer] of this.#answers) this.#answers.set(node, { ...answer, isOld: true })
    this.#options.queried()
  }

  #choose(view: View): void {
    if (view === this.#view) return
    this.#view = view
    this.#answers.clear()
    for (const name of VIEWS) {
      const tab = part(`tab-${name}`)
      tab.setAttribute('aria-selected', String(name === view))
      tab.tabIndex = name === view ? 0 : -1
      part(`panel-${name}`).hidden = name !== view
    }
    this.#filter.placeholder = view === 'connections' ? 'User, route, node, channel or id' : 'Name of a channel'
    this.#look()
  }

  #listenToTabs(): void {
    for (const [at, name] of VIEWS.entries()) {
      const tab = part(`tab-${name}`)
      tab.addEventListener('click', () => this.#choose(name))
      tab.addEventListener('keydown', ({ key }) => {
        if (key !== 'ArrowLeft' && key !== 'ArrowRight') return
        const next = VIEWS[(at + 1) % VIEWS.length] as View
        this.#choose(next)
        part(`tab-${next}`).focus()
      })
    }
  }

  #summarize(answers: readonly TableAnswer[], shown: number, isWhole: boolean): void {
    const sum = (read: (answer: TableAnswer) => number) => answers.reduce((all, answer) => all + read(answer), 0)
    const isConnections = this.#view === 'connections'
    // A channel may be on several nodes, so channels cannot be added up.
    const found = isConnections || answers.length === 1 ? sum((answer) => answer.found) : shown
    const isPart = isConnections ? shown < found : answers.some((answer) => answer.found > answer.rows.length)
    const [one, many] = isConnections ? ['connection', 'connections'] : ['channel', 'channels']
    const noun = found === 1 ? one : many
    const first = isPart ? (found > shown ? `The first ${count(shown)} of ` : 'The first ') : ''
    const of = this.#search === '' ? '' : ` with “${this.#search}”`
    const text = `${first}${count(found)} ${noun}${of}`
    const panel = part(`panel-${this.#view}`)
    inside(panel, '.empty').hidden = shown > 0 || !isWhole
    if (!isWhole) return
    write(part('summary'), text)
    if (this.#isSaid) return
    this.#isSaid = true
    write(part('said'), text)
  }

  #connectionColumns() {
    const { detail, disconnect } = this.#options
    const who = ({ user, route, node }: ShownConnection) => `${user ?? 'anonymous'}, ${route}, ${node}`
    return [
      { id: 'user', label: 'User', isText: true, show: ({ user }: ShownConnection) => user ?? 'anonymous' },
      { id: 'route', label: 'Route', isText: true, show: ({ route }: ShownConnection) => route },
      { id: 'node', label: 'Node', isText: true, isMinor: true, show: ({ node }: ShownConnection) => node },
      { id: 'age', label: 'Age', show: ({ age }: ShownConnection) => duration(age) },
      { id: 'received', label: 'In', isMinor: true, show: ({ received }: ShownConnection) => count(received) },
      { id: 'sent', label: 'Out', isMinor: true, show: ({ sent }: ShownConnection) => count(sent) },
      { id: 'bytes', label: 'Bytes', isMinor: true, show: (row: ShownConnection) => bytes(row.bytes) },
      { id: 'buffered', label: 'Waiting', isMinor: true, show: ({ buffered }: ShownConnection) => bytes(buffered) },
      {
        id: 'roundTrip',
        label: 'Round trip',
        isMinor: true,
        show: ({ roundTrip }: ShownConnection) => (roundTrip === null ? NONE : latency(roundTrip / 1_000))
      },
      {
        id: 'subscriptions',
        label: 'Channels',
        show: ({ subscriptions }: ShownConnection) => count(subscriptions),
        button: {
          label: (row: ShownConnection) => `Subscriptions of ${who(row)}: ${row.subscriptions}`,
          press: detail,
          isOff: ({ subscriptions }: ShownConnection) => subscriptions === 0
        }
      },
      {
        id: 'disconnect',
        label: 'Disconnect',
        isFixed: true,
        isUnlabelled: true,
        show: () => 'Disconnect',
        button: { label: (row: ShownConnection) => `Disconnect ${who(row)}`, press: disconnect }
      }
    ]
  }

  #channelColumns() {
    return [
      {
        id: 'name',
        label: 'Channel',
        isText: true,
        show: ({ name }: ShownChannel) => name,
        button: {
          label: ({ name }: ShownChannel) => `Connections on ${name}`,
          press: ({ name }: ShownChannel) => this.find(name)
        }
      },
      { id: 'subscribers', label: 'Subscribers', show: ({ subscribers }: ShownChannel) => count(subscribers) },
      { id: 'rate', label: 'Per second', show: (row: ShownChannel) => rate(row.rate) },
      {
        id: 'offset',
        label: 'Position',
        isMinor: true,
        show: ({ offset, epoch }: ShownChannel) => (epoch === '' ? NONE : count(offset))
      },
      { id: 'size', label: 'History', isFixed: true, isMinor: true, show: ({ size }: ShownChannel) => count(size) },
      { id: 'lag', label: 'Behind', isFixed: true, show: ({ lag }: ShownChannel) => count(lag) }
    ]
  }
}
