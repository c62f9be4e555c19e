import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'

/* Nodes with channels, each a process of its own: see channel-node.ts. */

export interface ChannelNode {
  readonly process: ChildProcess
  /** `http://127.0.0.1:3000` */
  readonly origin: string
}

/** Starts a node, which ends with the test. */
export async function startChannelNode(t: Test, redis: string, prefix: string): Promise<ChannelNode> {
  const child = fork(new URL('channel-node.ts', import.meta.url), [redis, prefix], {
    execArgv: process.execArgv,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { process: child, origin: `http://127.0.0.1:${port}` }
}
