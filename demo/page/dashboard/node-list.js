import { swatchOf } from './chart.js'
import { connectionsOf } from './cluster.js'
import { element, write } from './element.js'
import { bytes, count, duration, time } from './format.js'

const STATES = {
  up: 'Up',
  draining: 'Draining',
  'out-of-sight': 'Out of sight',
  gone: 'Gone'
}

/** One card for each node, and one for the broker between them. */
export class NodeList {
  #list
  #redis
  /** @type {Map<string, HTMLElement>} */
  #cards = new Map()

  /** @param {{ list: HTMLElement, redis: HTMLElement }} places */
  constructor({ list, redis }) {
    this.#list = list
    this.#redis = redis
  }

  /** @param {{ node: import('./cluster.js').Node, state: string }[]} nodes @param {{ now: number, self?: string }} view */
  show(nodes, { now, self }) {
    const wanted = new Set(nodes.map(({ node }) => node.id))
    for (const [id, card] of this.#cards) {
      if (wanted.has(id)) continue
      card.remove()
      this.#cards.delete(id)
    }
    for (const { node, state } of nodes) {
      const card = this.#cards.get(node.id) ?? this.#make(node)
      // In the order of their names; a card in its place is not touched.
      const place = this.#list.children[nodes.findIndex((entry) => entry.node === node)]
      if (place !== card) this.#list.insertBefore(card, place ?? null)
      fill(card, node, { state, now, isSelf: node.id === self })
    }
    this.#showRedis(nodes.find(({ node }) => node.id === self)?.node.latest, now)
  }

  #make({ id, name, pid, colour }) {
    const title = element(
      'h3',
      { className: 'node-title' },
      element('span', { className: 'swatch', dataset: swatchOf(colour) }),
      element('span', { textContent: name })
    )
    const progress = element('progress', { className: 'node-progress', max: 1, value: 0, hidden: true })
    progress.setAttribute('aria-label', `Drain of ${name}`)
    const card = element(
      'li',
      { className: 'card node', dataset: { node: id } },
      element('div', { className: 'node-head' }, title, element('span', { className: 'tag' })),
      element('p', { className: 'node-figures' }),
      progress,
      element('p', { className: 'node-more', textContent: `pid ${pid}` })
    )
    this.#cards.set(id, card)
    return card
  }

  #showRedis(latest, now) {
    if (latest === undefined) return
    const { broker, brokerUp, channels } = latest
    const isMemory = broker.kind === 'memory'
    const state = isMemory ? 'memory' : brokerUp ? 'up' : 'away'
    this.#redis.dataset.state = state
    write(this.#redis.querySelector('.node-title'), isMemory ? 'In memory' : 'Redis')
    write(this.#redis.querySelector('.tag'), { memory: 'One process', up: 'Up', away: 'Away' }[state])
    write(
      this.#redis.querySelector('.node-figures'),
      isMemory ? 'No REDIS_URL was given' : `since ${time(broker.since)}, ${duration(now - broker.since)}`
    )
    write(this.#redis.querySelector('.node-more'), `${count(channels)} channels on this page’s node`)
  }
}

function fill(card, node, { state, now, isSelf }) {
  const { latest, atDrain, pid } = node
  const open = connectionsOf(latest)
  card.dataset.state = state
  card.dataset.connections = String(open)
  write(card.querySelector('.tag'), STATES[state])
  write(card.querySelector('.node-figures'), figures(node, { state, open, now }))
  write(card.querySelector('.node-more'), isSelf ? `pid ${pid}, this page’s node` : `pid ${pid}`)
  const progress = card.querySelector('.node-progress')
  progress.hidden = state !== 'draining'
  progress.value = atDrain === 0 ? 1 : 1 - open / atDrain
}

function figures({ latest, atDrain }, { state, open, now }) {
  if (state === 'draining') return `${count(open)} of ${count(atDrain)} connections left`
  if (state !== 'gone') return `${count(open)} open, ${Math.round(latest.busy * 100)} % busy, ${bytes(latest.memory)}`
  const { closed = 0, terminated = 0 } = latest.drained
  const ago = `${duration(now - latest.at)} ago`
  return latest.last ? `drained ${ago}: ${count(closed)} closed, ${count(terminated)} cut` : `last heard ${ago}`
}
