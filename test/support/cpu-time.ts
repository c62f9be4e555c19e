/**
 * Milliseconds of processor time that this process takes until the work is done. For what must be cheap: the clock on
 * the wall also counts the time in which other processes had the processor.
 */
export async function cpuTime(work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}
