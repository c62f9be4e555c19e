import { type Static, Type } from 'typebox'

/** The name in a board's address. */
export const BoardParams = Type.Object({ board: Type.String({ pattern: '^[\\w-]{1,64}$' }) })

const Id = Type.String({ minLength: 1, maxLength: 64 })

const drawn = {
  /** One of the page's inks, or `#rrggbb`. */
  colour: Type.String({ minLength: 1, maxLength: 32 }),
  /** In thousandths of the board's width. */
  width: Type.Optional(Type.Number({ minimum: 1, maximum: 100 })),
  /** x and y in turn, from 0 to 1 across and down the sheet that a board begins with. A board has no edges. */
  points: Type.Array(Type.Number(), { minItems: 2, maxItems: 1024 })
}

/**
 * A piece of a line: what a pen drew within a quarter of a second or so. The client that draws it makes up its id. By
 * the id a client recognises its own stroke, and a stroke that arrives twice. The pieces of one line have the id of the
 * line, a dot and a number.
 */
export const Stroke = Type.Object({ id: Type.Optional(Id), ...drawn })
export type Stroke = Static<typeof Stroke>

/** What clients publish on a board's channel: a stroke, or the id of a line that they take back. */
export const BoardPublication = Type.Union([Type.Object({ id: Id, ...drawn }), Type.Object({ undo: Id })])
export type BoardPublication = Static<typeof BoardPublication>

/** The argument of `board.clear`; two calls with one id clear a board once. */
export const Clear = Type.Object({ board: BoardParams.properties.board, id: Id })

/** How many strokes were on the board. */
export const Cleared = Type.Object({ cleared: Type.Integer() })

// A board has no edges; this far from its first sheet nobody draws by accident.
const Part = Type.Number({ minimum: -100, maximum: 100 })

/** The place of a client's pointer, in parts of that sheet; null once it has left. */
export const Cursor = Type.Object({ at: Type.Union([Type.Tuple([Part, Part]), Type.Null()]) })

/** The name of an experiment's channel, made up by the page that runs it. */
export const PulseParams = Type.Object({ experiment: Type.String({ pattern: '^[\\w-]{8,64}$' }) })

/** One of the marks that a page publishes while it breaks something, numbered from 0. */
export const Pulse = Type.Object({ id: Type.String({ pattern: '^\\d{1,6}$' }) })

/** What to break, and the page's own connection. */
export const Breakage = Type.Object({
  action: Type.Enum(['restart', 'kill', 'redis', 'cut']),
  connection: Type.Optional(Type.String({ minLength: 1, maxLength: 128 }))
})

/** The number of the worker that serves the connection; 0 if one process serves all. */
export const ServedBy = Type.Object({ worker: Type.Integer() })

/** The name in a room's address. */
export const RoomParams = Type.Object({ room: Type.String({ minLength: 1, maxLength: 100 }) })

/** `<epoch>:<offset>`, the last position of the client. */
export const RoomQuery = Type.Object({ since: Type.Optional(Type.String({ maxLength: 4_096 })) })

/** Any JSON object. */
export const RoomMessage = Type.Object({}, { additionalProperties: true })

export const Token = Type.Object({
  user: Type.String({ minLength: 1, maxLength: 64 }),
  /** The administrator key: the token then has the claim `admin`, which the dashboard and "Break it" require. */
  key: Type.Optional(Type.String({ minLength: 1, maxLength: 128 }))
})

export const Text = Type.Object({ text: Type.String({ maxLength: 1000 }) })
