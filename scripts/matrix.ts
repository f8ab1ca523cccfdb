// Runs the packed library on every Node version it promises: `node scripts/matrix.ts [version…]`.
// Promise: a version that cannot be had is shown as skipped, and fails the run where CI is set. Next: nodes.ts.

import { SMOKE_FILES, installPacked } from './installed.ts'
import { PROMISED_NODES, findNodes } from './nodes.ts'

const asked = process.argv.slice(2)
const nodes = await findNodes(asked.length > 0 ? asked : PROMISED_NODES)
const installed = await installPacked()
const count = { passed: 0, failed: 0, skipped: 0 }
try {
  for (const node of nodes) {
    if ('missing' in node) {
      count[process.env['CI'] === undefined ? 'skipped' : 'failed'] += SMOKE_FILES.length
      console.log(`SKIPPED  Node ${node.wanted}: ${node.missing}`)
      continue
    }
    for (const file of SMOKE_FILES) {
      try {
        const said = await installed.smoke(node.path, file)
        count.passed++
        console.log(`passed   ${node.version}  ${file}: ${said.trim().split('\n').at(-1)}`)
      } catch (error) {
        count.failed++
        console.log(`FAILED   ${node.version}  ${file}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
} finally {
  installed.remove()
}
console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
if (count.failed > 0) process.exitCode = 1
