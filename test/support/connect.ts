import { type ConnectOptions, connect as connectTo, type TestSocket } from '../../lib/testing/index.ts'

/** The package's own `connect` with a time-out that only a hang reaches, where a busy machine exceeds the default of 5 s. */
export function connect(
  app: Parameters<typeof connectTo>[0],
  url: string,
  options: ConnectOptions = {}
): Promise<TestSocket> {
  return connectTo(app, url, { timeout: 60_000, ...options })
}
