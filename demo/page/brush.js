import { getStroke } from 'perfect-freehand'
import { HEIGHT, WIDTH } from './view.js'

// A nib that gives way: a slow hand draws broad, a fast one fine.
const NIB = { thinning: 0.5, smoothing: 0.5, streamline: 0.35, simulatePressure: true, last: true }
// A hand at middle speed draws half of a nib's size, or so.
const SIZE = 1.5

/**
 * The outline of a line as a hand draws it, as x and y in units of the board. The channel carries places only: the
 * distances between them stand for the speed of the hand, so every page draws the same outline.
 *
 * @param {number[]} points x and y in turn, in parts of the sheet
 * @param {number} width in thousandths of the sheet's width
 * @returns {[number, number][]}
 */
export function outlineOf(points, width) {
  const places = []
  for (let at = 0; at + 1 < points.length; at += 2) places.push([points[at] * WIDTH, points[at + 1] * HEIGHT])
  return getStroke(places, { ...NIB, size: width * SIZE })
}

/** The smallest rectangle around an outline: left, top, right, bottom. @param {[number, number][]} outline */
export function boundsOf(outline) {
  const bounds = [Infinity, Infinity, -Infinity, -Infinity]
  for (const [x, y] of outline) {
    if (x < bounds[0]) bounds[0] = x
    if (y < bounds[1]) bounds[1] = y
    if (x > bounds[2]) bounds[2] = x
    if (y > bounds[3]) bounds[3] = y
  }
  return bounds
}
