/** The files to measure while a test runs: whichever test it is, the whole library. */
export default function coverageMap(): string[] {
  return ['lib/**/*.ts']
}
