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
    file: 'lib/broker/redis.ts',
    find: 'idempotencyKey === undefined ? 0 : idempotencyTtl',
    replace: '0'
  },
  'gap check skipped': {
    file: 'lib/channels/channel.ts',
    find: 'offset === this.#offset + 1)',
    replace: 'offset > this.#offset)'
  },
  'buffer released before the merge': {
    file: 'lib/channels/subscription.ts',
    find: 'if (this.buffer !== undefined) this.buffer.push(encoded)',
    replace: 'if (false) this.buffer.push(encoded)'
  },
  'epoch kept at failover': {
    file: 'lib/broker/redis-scripts.ts',
    find: ", 'utf8')",
    replace: ", 'utf8').replaceAll('found[3] ~= current', 'false')"
  }
} as const satisfies Record<string, Mutation>

export type MutationName = keyof typeof MUTATIONS
