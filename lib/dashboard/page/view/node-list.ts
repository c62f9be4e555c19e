import type { Snapshot } from '../../messages.ts'
import { connectionsOf, type KnownNode, type NodeState } from '../model/cluster.ts'
import { bytes, count, duration, time } from '../model/format.ts'
import { swatchOf } from './chart.ts'
import { element, inside, write } from './element.ts'

const STATES: Readonly<Record<NodeState, string>> = {
  up: 'Up',
  draining: 'Draining',
  'out-of-sight': 'Out of sight',
  gone: 'Gone'
}

export interface ListedNode {
  readonly node: KnownNode
  readonly state: NodeState
}

interface Moment {
  readonly now: number
  /** The node that serves the page. */
  readonly self: string | undefined
}

/** One card for each node, and one for the broker between them. */
export class NodeList {
  readonly #list: HTMLElement
  readonly #broker: HTMLElement
  readonly #cards = new Map<string, HTMLElement>()

  constructor(list: HTMLElement, broker: HTMLElement) {
    this.#list = list
    this.#broker = broker
  }

  show(nodes: readonly ListedNode[], moment: Moment): void {
    const wanted = new Set(nodes.map(({ node }) => node.id))
    for (const [id, card] of this.#cards) {
      if (wanted.has(id)) continue
      card.remove()
      this.#cards.delete(id)
    }
    for (const [at, { node, state }] of nodes.entries()) {
      const card = this.#cards.get(node.id) ?? this.#make(node)
      // In the order of their names; a card in its place is not touched.
      const place = this.#list.children[at]
      if (place !== card) this.#list.insertBefore(card, place ?? null)
      fill(card, node, state, moment)
    }
    const own = nodes.find(({ node }) => node.id === moment.self)?.node.latest
    if (own !== undefined) this.#showBroker(own, moment.now)
  }

  #make({ id, label, colour }: KnownNode): HTMLElement {
    const title = element(
      'h3',
      { className: 'node-title' },
      element('span', { className: 'swatch', dataset: swatchOf(colour) }),
      element('span', { className: 'node-name' })
    )
    const progress = element('progress', { className: 'node-progress', max: 1, value: 0, hidden: true })
    progress.setAttribute('aria-label', `Drain of ${label}`)
    const card = element(
      'li',
      { className: 'card node', dataset: { node: id } },
      element('div', { className: 'node-head' }, title, element('span', { className: 'tag' })),
      element('p', { className: 'node-figures' }),
      progress,
      element('p', { className: 'node-more' })
    )
    this.#cards.set(id, card)
    return card
  }

  #showBroker({ broker, brokerUp, shards, channels }: Snapshot, now: number): void {
    const isMemory = broker.kind === 'memory'
    const state = isMemory ? 'memory' : brokerUp ? 'up' : 'away'
    const card = this.#broker
    card.dataset.state = state
    write(inside(card, '.node-title'), isMemory ? 'In memory' : 'Redis')
    write(inside(card, '.tag'), { memory: 'One process', up: 'Up', away: 'Away' }[state])
    const since = `since ${time(broker.since)}, ${duration(now - broker.since)}`
    write(inside(card, '.node-figures'), isMemory ? 'Channels reach this process only' : since)
    const away = Object.entries(shards).filter(([, up]) => !up)
    const names = away.map(([name]) => name).join(', ')
    write(
      inside(card, '.node-more'),
      names === '' ? `${count(channels)} channels on this page’s node` : `away: ${names}`
    )
  }
}

function fill(card: HTMLElement, node: KnownNode, state: NodeState, { now, self }: Moment): void {
  const { latest, atDrain, pid, label } = node
  const open = connectionsOf(latest)
  card.dataset.state = state
  card.dataset.connections = String(open)
  write(inside(card, '.node-name'), label)
  write(inside(card, '.tag'), STATES[state])
  write(inside(card, '.node-figures'), figures(node, state, open, now))
  write(inside(card, '.node-more'), node.id === self ? `pid ${pid}, serves this page` : `pid ${pid}`)
  const progress = inside<HTMLProgressElement>(card, '.node-progress')
  progress.hidden = state !== 'draining'
  progress.value = atDrain === 0 ? 1 : 1 - open / atDrain
}

function figures({ latest, atDrain }: KnownNode, state: NodeState, open: number, now: number): string {
  if (state === 'draining') return `${count(open)} of ${count(atDrain)} connections left`
  if (state !== 'gone') return `${count(open)} open · ${Math.round(latest.busy * 100)} % busy · ${bytes(latest.memory)}`
  const { closed = 0, terminated = 0 } = latest.drained
  const ago = `${duration(now - latest.at)} ago`
  return latest.last ? `drained ${ago}: ${count(closed)} closed, ${count(terminated)} cut` : `last seen ${ago}`
}
