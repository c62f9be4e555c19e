/** Names and passwords. Replace them by your users and a check of their passwords: they are not for production. */
export function demoAccounts(): ReadonlyMap<string, string> {
  if (process.env.NODE_ENV === 'production') throw new Error('Replace the accounts in accounts.ts by your own')
  return new Map([
    ['ada', 'demo'],
    ['grace', 'demo'],
    ['eve', 'demo']
  ])
}
