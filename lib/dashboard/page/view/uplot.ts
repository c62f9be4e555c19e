import type UPlot from 'uplot'

/** The page's script begins with uPlot's own file, which makes this variable (scripts/build-page.ts). */
declare const uPlot: typeof UPlot

export const Plot = uPlot
