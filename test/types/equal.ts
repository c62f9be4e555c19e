/** True where two types are the same; `any` is the same as nothing but itself. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Fails to compile unless its type argument is `true`: `expect<Equal<typeof a, string>>()`. */
export function expect<Holds extends true>(): Holds | undefined {
  return undefined
}
