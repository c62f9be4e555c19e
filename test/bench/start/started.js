/**
 * Makes an application listen and prints the milliseconds of CPU that it took, from the first import on. JavaScript,
 * because the hooks that make Node run TypeScript would count too.
 */
export async function started(makeApp) {
  const before = process.cpuUsage()
  const app = await makeApp()
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { user, system } = process.cpuUsage(before)
  console.log((user + system) / 1e3)
  process.exit()
}
