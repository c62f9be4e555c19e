import { clipped, clippedValue } from './clipped.ts'

// Findings that a client is sent, and bytes of each of their members: they quote what it sent, and there may be one for
// each item of it.
const MOST = 10
const MEMBER_BYTES = 128

/** A validator's findings as an error message may hold them. Throws for what JSON can't say. */
export function boundedIssues(issues: readonly unknown[]): readonly unknown[] {
  return issues.slice(0, MOST).map(bounded)
}

function bounded(issue: unknown): unknown {
  if (typeof issue !== 'object' || issue === null || Array.isArray(issue)) return clippedValue(issue, MEMBER_BYTES)
  const members = Object.entries(issue).map(([name, value]) => [
    clipped(name, MEMBER_BYTES),
    clippedValue(value, MEMBER_BYTES)
  ])
  return Object.fromEntries(members.slice(0, MOST))
}
