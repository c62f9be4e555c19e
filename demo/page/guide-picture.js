/** @typedef {{ colour: string, width: number, seconds: number, points: [number, number][] }} Gesture */

// A circle on the sheet, which is 4:3.
const round = (x, y, radius, turn) => [x + radius * Math.cos(turn), y + radius * (4 / 3) * Math.sin(turn)]

function arc(x, y, radius, [from, to], { flat = 1, count = 40 } = {}) {
  return Array.from({ length: count + 1 }, (_, at) => {
    const turn = (from + ((to - from) * at) / count) * 2 * Math.PI
    const [px, py] = round(x, y, radius, turn)
    return [px, y + (py - y) * flat]
  })
}

/** A smooth line through some points (Catmull-Rom), with as many points between two of them. */
export function through(points, count = 12) {
  const at = (index) => points[Math.min(points.length - 1, Math.max(0, index))]
  const line = points.slice(1).flatMap((_, index) => {
    const [a, b, c, d] = [at(index - 1), at(index), at(index + 1), at(index + 2)]
    return Array.from({ length: count }, (_, step) => {
      const t = step / count
      const mix = (axis) =>
        0.5 *
        (2 * b[axis] +
          (c[axis] - a[axis]) * t +
          (2 * a[axis] - 5 * b[axis] + 4 * c[axis] - d[axis]) * t * t +
          (3 * b[axis] - a[axis] - 3 * c[axis] + d[axis]) * t * t * t)
      return [mix(0), mix(1)]
    })
  })
  return [...line, points.at(-1)]
}

/** The picture that the guide draws, in about eight seconds: a cat, and a heart. @returns {Gesture[]} */
export function guidePicture() {
  const ink = (width, seconds, points) => ({ colour: 'ink', width, seconds, points })
  return [
    // The head, from ear to ear and round.
    ink(
      6,
      1.7,
      through([
        [0.4, 0.37],
        [0.378, 0.2],
        [0.372, 0.165],
        [0.39, 0.18],
        [0.446, 0.272],
        [0.5, 0.262],
        [0.554, 0.272],
        [0.61, 0.18],
        [0.628, 0.165],
        [0.622, 0.2],
        [0.6, 0.37],
        [0.616, 0.46],
        [0.59, 0.56],
        [0.5, 0.605],
        [0.41, 0.56],
        [0.384, 0.46],
        [0.402, 0.36]
      ])
    ),
    { colour: 'green', width: 9, seconds: 0.35, points: arc(0.448, 0.43, 0.013, [0.6, 1.65]) },
    { colour: 'green', width: 9, seconds: 0.35, points: arc(0.552, 0.43, 0.013, [0.6, 1.65]) },
    {
      colour: 'red',
      width: 8,
      seconds: 0.3,
      points: through([
        [0.487, 0.49],
        [0.513, 0.49],
        [0.5, 0.508],
        [0.488, 0.491]
      ])
    },
    ink(
      5,
      0.6,
      through([
        [0.462, 0.522],
        [0.472, 0.545],
        [0.49, 0.545],
        [0.5, 0.512],
        [0.51, 0.545],
        [0.528, 0.545],
        [0.538, 0.522]
      ])
    ),
    ink(
      3,
      0.25,
      through([
        [0.43, 0.5],
        [0.38, 0.485],
        [0.335, 0.483]
      ])
    ),
    ink(
      3,
      0.25,
      through([
        [0.43, 0.525],
        [0.38, 0.53],
        [0.34, 0.545]
      ])
    ),
    ink(
      3,
      0.25,
      through([
        [0.57, 0.5],
        [0.62, 0.485],
        [0.665, 0.483]
      ])
    ),
    ink(
      3,
      0.25,
      through([
        [0.57, 0.525],
        [0.62, 0.53],
        [0.66, 0.545]
      ])
    ),
    // The back, down and up into the tail.
    ink(
      6,
      1.3,
      through([
        [0.43, 0.59],
        [0.395, 0.7],
        [0.39, 0.82],
        [0.42, 0.87],
        [0.5, 0.875],
        [0.585, 0.87],
        [0.64, 0.84],
        [0.69, 0.76],
        [0.68, 0.66],
        [0.7, 0.61],
        [0.735, 0.63]
      ])
    ),
    ink(
      6,
      0.5,
      through([
        [0.57, 0.595],
        [0.605, 0.7],
        [0.602, 0.8],
        [0.575, 0.865]
      ])
    ),
    ink(
      4,
      0.3,
      through([
        [0.47, 0.74],
        [0.468, 0.81],
        [0.478, 0.868]
      ])
    ),
    ink(
      4,
      0.3,
      through([
        [0.53, 0.74],
        [0.532, 0.81],
        [0.522, 0.868]
      ])
    ),
    {
      colour: 'violet',
      width: 7,
      seconds: 0.8,
      points: through([
        [0.76, 0.33],
        [0.735, 0.275],
        [0.712, 0.235],
        [0.722, 0.185],
        [0.748, 0.18],
        [0.761, 0.225],
        [0.775, 0.18],
        [0.802, 0.187],
        [0.809, 0.238],
        [0.786, 0.28],
        [0.761, 0.33]
      ])
    }
  ]
}

/** A line that never ends: a ribbon of loops below the picture. @param {number} part how many loops there are */
export function guideRibbon(part) {
  const turn = part * 2 * Math.PI
  const x = 0.5 - 0.4 * Math.cos(turn * 0.045)
  return [x + 0.03 * Math.cos(turn), 0.92 + 0.04 * Math.sin(turn)]
}
