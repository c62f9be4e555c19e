// Computes the picture that three people draw in the README's screenshots: by hand its strokes would be 1,000 numbers.
/** A line of the picture: the number of its author, colour, width, and points (0 to 1 across and down the board). */
export interface PictureLine {
  readonly by: number
  readonly colour: string
  readonly width: string
  readonly points: readonly (readonly [number, number])[]
}

type Point = readonly [number, number]
type Curve = (part: number) => Point

/** A picture that three people draw: mountains by a lake, a boat, the sun. */
export function picture(): PictureLine[] {
  return [...sky(0), ...mountains(1), ...trees(2), ...lake(2), ...boat(0)]
}

function sky(by: number): PictureLine[] {
  const [x, y, r] = [0.79, 0.2, 0.058]
  const rays = Array.from({ length: 12 }, (_, at) => {
    const turn = (at / 12) * 2 * Math.PI
    const from = at % 2 === 0 ? 1.5 : 1.55
    const to = at % 2 === 0 ? 2.15 : 1.9
    return along(line(round(x, y, r * from, turn), round(x, y, r * to, turn)), 4)
  })
  return [
    { by, colour: 'Amber', width: 'Broad', points: along((part) => round(x, y, r, part * 2 * Math.PI), 28) },
    ...rays.map((points): PictureLine => ({ by, colour: 'Amber', width: 'Medium', points })),
    gull(by, 0.5, 0.16, 0.05),
    gull(by, 0.57, 0.21, 0.038),
    gull(by, 0.45, 0.23, 0.032)
  ]
}

/** A gull, at this place and as wide as that. */
export function gull(by: number, x: number, y: number, size: number): PictureLine {
  const wings: Curve = (part) => [x + (part - 0.5) * size, y - Math.abs(Math.sin(part * 2 * Math.PI)) * size * 0.32]
  return { by, colour: 'Ink', width: 'Fine', points: along(wings, 16) }
}

function mountains(by: number): PictureLine[] {
  const ridge = (peaks: readonly Point[], width: string): PictureLine => ({
    by,
    colour: 'Ink',
    width,
    points: through(peaks)
  })
  return [
    ridge(
      [
        [0.03, 0.6],
        [0.14, 0.43],
        [0.19, 0.46],
        [0.31, 0.22],
        [0.4, 0.37],
        [0.44, 0.35],
        [0.505, 0.44]
      ],
      'Medium'
    ),
    ridge(
      [
        [0.5, 0.44],
        [0.6, 0.31],
        [0.66, 0.38],
        [0.7, 0.36],
        [0.9, 0.58],
        [0.97, 0.6]
      ],
      'Medium'
    ),
    ridge(
      [
        [0.265, 0.31],
        [0.29, 0.335],
        [0.31, 0.3],
        [0.33, 0.335],
        [0.355, 0.3]
      ],
      'Fine'
    ),
    ridge(
      [
        [0.57, 0.36],
        [0.585, 0.375],
        [0.6, 0.355],
        [0.615, 0.38],
        [0.63, 0.355]
      ],
      'Fine'
    ),
    ridge(
      [
        [0.2, 0.52],
        [0.24, 0.44],
        [0.26, 0.47]
      ],
      'Fine'
    ),
    ridge(
      [
        [0.36, 0.46],
        [0.41, 0.53],
        [0.43, 0.51]
      ],
      'Fine'
    ),
    ridge(
      [
        [0.72, 0.46],
        [0.77, 0.53],
        [0.79, 0.515]
      ],
      'Fine'
    )
  ]
}

function trees(by: number): PictureLine[] {
  const tree = (x: number, foot: number, size: number): PictureLine[] => {
    const tiers = [0, 1, 2].flatMap((tier): Point[] => {
      const half = size * (0.16 + 0.1 * tier)
      const y = foot - size * (0.78 - 0.28 * tier)
      return [
        [x - half * 0.75, y],
        [x + half * 0.75, y + size * 0.05]
      ]
    })
    return [
      { by, colour: 'Green', width: 'Broad', points: through([[x, foot - size], ...tiers]) },
      { by, colour: 'Ink', width: 'Medium', points: along(line([x, foot - size * 0.1], [x, foot]), 4) }
    ]
  }
  return [...tree(0.085, 0.66, 0.2), ...tree(0.15, 0.67, 0.15), ...tree(0.9, 0.665, 0.18), ...tree(0.845, 0.67, 0.12)]
}

function lake(by: number): PictureLine[] {
  const wave = (from: number, to: number, y: number): PictureLine => ({
    by,
    colour: 'Blue',
    width: 'Medium',
    points: along((part) => [from + (to - from) * part, y + Math.sin(part * (to - from) * 75) * 0.007], 40)
  })
  return [
    wave(0.04, 0.41, 0.695),
    wave(0.63, 0.96, 0.7),
    wave(0.1, 0.42, 0.76),
    wave(0.6, 0.93, 0.77),
    wave(0.05, 0.3, 0.84),
    wave(0.38, 0.72, 0.87),
    wave(0.8, 0.95, 0.86),
    wave(0.16, 0.48, 0.93),
    wave(0.62, 0.88, 0.94)
  ]
}

function boat(by: number): PictureLine[] {
  const hull: Point[] = [
    [0.42, 0.73],
    [0.445, 0.79],
    [0.455, 0.795],
    [0.575, 0.795],
    [0.59, 0.785],
    [0.62, 0.73],
    [0.42, 0.73]
  ]
  return [
    { by, colour: 'Red', width: 'Broad', points: through(hull) },
    { by, colour: 'Ink', width: 'Medium', points: along(line([0.515, 0.73], [0.515, 0.47]), 10) },
    {
      by,
      colour: 'Violet',
      width: 'Medium',
      points: through([
        [0.525, 0.49],
        [0.605, 0.69],
        [0.525, 0.7],
        [0.525, 0.49]
      ])
    },
    {
      by,
      colour: 'Violet',
      width: 'Medium',
      points: through([
        [0.505, 0.52],
        [0.44, 0.69],
        [0.505, 0.7],
        [0.505, 0.52]
      ])
    },
    {
      by,
      colour: 'Red',
      width: 'Medium',
      points: through([
        [0.515, 0.47],
        [0.545, 0.455],
        [0.515, 0.44]
      ])
    }
  ]
}

/** The board is 4:3: a circle on it is one of these parts. */
function round(x: number, y: number, radius: number, turn: number): Point {
  return [x + radius * Math.cos(turn), y + radius * (4 / 3) * Math.sin(turn)]
}

function line([fromX, fromY]: Point, [toX, toY]: Point): Curve {
  return (part) => [fromX + (toX - fromX) * part, fromY + (toY - fromY) * part]
}

function along(curve: Curve, count: number): Point[] {
  return Array.from({ length: count + 1 }, (_, at) => curve(at / count))
}

/** From corner to corner, with a hand that is not quite steady. */
function through(corners: readonly Point[]): Point[] {
  const points = corners.slice(1).flatMap((corner, at) => {
    const from = corners[at] as Point
    const count = Math.max(3, Math.round(Math.hypot(corner[0] - from[0], corner[1] - from[1]) * 60))
    return along(line(from, corner), count).slice(at === 0 ? 0 : 1)
  })
  return points.map(([x, y], at) => [x + Math.sin(at * 2.3) * 0.0015, y + Math.sin(at * 1.7) * 0.002])
}
