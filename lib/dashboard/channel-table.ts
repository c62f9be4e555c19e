import type { Node } from '../node/node.ts'
import type { TableAnswer } from './messages.ts'
import type { Query } from './query.ts'
import { type ChannelRow, compareValues, MAX_ROWS, packChannel } from './rows.ts'
import { Top, visitAll } from './top.ts'

type RateOf = (channel: string) => number | null

const ORDERS: Readonly<Record<string, (row: ChannelRow) => string | number>> = {
  name: ({ name }) => name,
  subscribers: ({ subscribers }) => subscribers,
  rate: ({ rate }) => rate ?? 0,
  offset: ({ offset }) => offset
}

/** A node's share of the channels that a query asks for: of the channels that have subscribers on the node. */
export async function channelTable({ hub }: Node, rateOf: RateOf, query: Query): Promise<Omit<TableAnswer, 'node'>> {
  const { order, descending, search } = query
  const read = ORDERS[order] as (row: ChannelRow) => string | number
  const turned = descending ? -1 : 1
  const top = new Top<ChannelRow>(
    MAX_ROWS,
    (a, b) => turned * compareValues(read(a), read(b)) || compareValues(a.name, b.name)
  )
  let found = 0
  await visitAll(hub.all(), ({ name, size, position }) => {
    if (search !== '' && !name.toLowerCase().includes(search)) return
    found++
    top.add({ name, subscribers: size, rate: rateOf(name), offset: position.offset, epoch: position.epoch })
  })
  return { kind: 'table', query: '', total: hub.channels, found, rows: top.items.map(packChannel) }
}
