/** Has `Math.random` say this until the test's end. */
export function chance(t: { teardown(fn: () => unknown): void }, value: number): void {
  const { random } = Math
  Math.random = () => value
  t.teardown(() => {
    Math.random = random
  })
}
