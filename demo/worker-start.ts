import type { Worker } from 'node:cluster'

/** A worker that cannot start tells its primary process why, before it ends. */
export interface Fault {
  readonly fault: string
}

/** Sends the reason to the primary process. Without one there is nobody to tell. */
export function reportFault(fault: string): void {
  process.send?.({ fault } satisfies Fault)
}

/** Like `worker 5 (process 1234)`. */
export function nameOf({ id, process: { pid } }: Worker): string {
  return `worker ${id} (process ${pid})`
}

/**
 * Resolves with undefined once the worker listens, and otherwise with the reason why it does not come to: it ended,
 * or so many milliseconds passed.
 */
export function comesToListen(worker: Worker, patience?: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let fault = ''
    const timer =
      patience === undefined
        ? undefined
        : setTimeout(() => settle(`it did not listen within ${patience / 1_000} s`), patience)
    const listens = () => settle(undefined)
    const hears = (message: unknown) => {
      if (isFault(message)) fault = `: ${message.fault}`
    }
    const ends = (code: number | null, signal: string | null) => {
      settle(`${signal ? `${signal} ended it` : `it ended with code ${code}`}${fault}`)
    }
    const settle = (reason: string | undefined) => {
      clearTimeout(timer)
      worker.off('listening', listens).off('exit', ends).off('message', hears)
      resolve(reason)
    }
    worker.on('listening', listens).on('exit', ends).on('message', hears)
  })
}

function isFault(message: unknown): message is Fault {
  return typeof message === 'object' && message !== null && 'fault' in message && typeof message.fault === 'string'
}
