/*
 * Makes the process that imports it late, as a machine does that has too much to do: for 60 of each 70 milliseconds
 * its event loop does not turn.
 */
const STALL = 60
const PAUSE = 10

setInterval(() => {
  const end = performance.now() + STALL
  while (performance.now() < end);
}, PAUSE).unref()
