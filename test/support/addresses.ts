import dns from 'node:dns'

const ADDRESSES = [
  { address: '127.0.0.1', family: 4 },
  { address: '127.0.0.2', family: 4 }
] as const

/** Gives `localhost` two addresses, as on most machines, until the test ends. `listen` then makes two servers. */
export function withTwoAddresses(t: { teardown(fn: () => unknown): void }): void {
  const { lookup } = dns
  // Fastify asks for all addresses, and Node for the first one.
  const lookUp = (...args: [unknown, ...unknown[]]) => {
    if (args[0] !== 'localhost') {
      Reflect.apply(lookup, dns, args)
      return
    }
    const done = args.at(-1) as (...results: unknown[]) => void
    const [{ address, family }] = ADDRESSES
    const wantsAll = (args[1] as { all?: boolean }).all === true
    setImmediate(() => (wantsAll ? done(null, ADDRESSES) : done(null, address, family)))
  }
  dns.lookup = lookUp as unknown as typeof lookup
  t.teardown(() => {
    dns.lookup = lookup
  })
}
