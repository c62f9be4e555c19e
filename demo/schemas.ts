import { type Static, Type } from 'typebox'

/** The name in a board's address. */
export const BoardParams = Type.Object({ board: Type.String({ pattern: '^[\\w-]{1,64}$' }) })

/** A piece of a line: what a pen drew within a quarter of a second or so. */
export const Stroke = Type.Object({
  /** Made up by whoever drew it: by its id a client knows its own stroke, and one that came twice. */
  id: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  /** One of the page's inks, or `#rrggbb`. */
  colour: Type.String({ minLength: 1, maxLength: 32 }),
  /** In thousandths of the board's width. */
  width: Type.Optional(Type.Number({ minimum: 1, maximum: 100 })),
  /** x and y in turn, from 0 to 1 across and down the board. */
  points: Type.Array(Type.Number(), { minItems: 2, maxItems: 1024 })
})
export type Stroke = Static<typeof Stroke>

/** The name in a room's address. */
export const RoomParams = Type.Object({ room: Type.String({ minLength: 1, maxLength: 100 }) })

/** `<epoch>:<offset>`, where the client was before. */
export const RoomQuery = Type.Object({ since: Type.Optional(Type.String({ maxLength: 200 })) })

/** Any JSON object. */
export const RoomMessage = Type.Object({}, { additionalProperties: true })

export const Token = Type.Object({
  user: Type.String({ minLength: 1, maxLength: 64 }),
  /** Whether the token is to have the claim `admin`, which the dashboard wants. */
  admin: Type.Optional(Type.Boolean())
})

export const Text = Type.Object({ text: Type.String({ maxLength: 1000 }) })
