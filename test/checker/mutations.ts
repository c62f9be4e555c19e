/** A fault put into the library's own code, to see that the checker finds it. */
export interface Mutation {
  /** Path from the root. */
  readonly file: string
  /** Stands there exactly once. */
  readonly find: string
  readonly replace: string
}

export const MUTATIONS = {
  'idempotency skipped': {
    file: 'lib/broker/redis/redis-broker.ts',
    find: '{ ...options, data, keyTtl }',
    replace: '{ ...options, data, keyTtl, idempotencyKey: history ? undefined : idempotencyKey }'
  },
  'gap check skipped': {
    file: 'lib/hub/channel.ts',
    find: 'offset === this.#offset + 1)',
    replace: 'offset > this.#offset)'
  },
  'buffer released before the merge': {
    file: 'lib/hub/cursor.ts',
    find: 'if (this.buffer !== undefined) this.buffer.push(encoded)',
    replace: 'if (false) this.buffer.push(encoded)'
  },
  'epoch kept at failover': {
    file: 'lib/broker/lua-source.ts',
    find: ", 'utf8')",
    // Nor is it noticed by what the nodes have seen.
    replace: `, 'utf8')
      .replaceAll('found[4] ~= replid()', 'false')
      .replaceAll('or isRolledBack', '')
      .replaceAll(" .. '-' .. whole(now) .. '-' .. whole(previous)", '')`
  },
  'calls out of order': {
    file: 'lib/hub/hub.ts',
    find: 'const bytes = givenData(data, (traits ?? UNDECLARED).binary, this.#options.maxPublication)',
    replace:
      'const bytes = givenData(data, (traits ?? UNDECLARED).binary, this.#options.maxPublication)\nif (Math.random() < 0.2) await new Promise((resolve) => setTimeout(resolve, 5))'
  },
  'requests of other nodes ignored': {
    file: 'lib/node/control.ts',
    find: 'const message = readControlMessage(data)',
    replace: 'const message = undefined'
  },
  'gap not declared': {
    file: 'lib/hub/cursor.ts',
    find: 'this.subscriber.insufficientState(this.feed.channel, { offset, epoch })',
    replace: ''
  },
  'lost answers taken for refusals': {
    file: 'lib/broker/redis/errors.ts',
    find: 'writes && !isUnsent',
    replace: 'false && !isUnsent'
  }
} as const satisfies Record<string, Mutation>

export type MutationName = keyof typeof MUTATIONS
