/** The parameters of channel names, as the types of their patterns say. */

type Value = string | number
type Loose = Readonly<Record<string, Value>>
type End = '/' | '-' | '.'

/** The name at the beginning of a text, up to what may follow it. */
type NameAt<Text extends string> = Text extends `${infer Head}${End}${string}` ? NameAt<Head> : Text

type Names<Pattern extends string> = Pattern extends `${string}:${infer Rest}`
  ? Rest extends `:${infer More}`
    ? Names<More>
    : NameAt<Rest> | Names<Rest>
  : Pattern extends `${string}*`
    ? '*'
    : never

/**
 * What a pattern's parameters are filled in with: `{ board }` for `boards/:board`. A pattern with a regular expression, or
 * one that is known at run time only, may have any.
 */
export type PatternParams<Pattern extends string> = string extends Pattern
  ? Loose
  : Pattern extends `${string}(${string}`
    ? Loose
    : { readonly [Name in Names<Pattern> as Name extends `${string}?` ? never : Name]: Value } & {
        readonly [Name in Names<Pattern> as Name extends `${infer Plain}?` ? Plain : never]?: Value
      }
