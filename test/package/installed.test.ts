// The promise "runs on Node 20.19, 20, 22, 24 and 26" is kept by running the packed, installed library on each.
// A version that cannot be had is skipped with its reason, and is a failure where CI is set. Next: ../../scripts/nodes.ts.

import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Installed, SMOKE_FILES, installPacked } from '../../scripts/installed.ts'
import { type FoundNode, PROMISED_NODES, findNodes } from '../../scripts/nodes.ts'

// Before the tests are listed, so that a missing version can be listed as skipped.
const nodes: readonly FoundNode[] = await findNodes(PROMISED_NODES)
const inCi = process.env['CI'] !== undefined

describe('the packed library', () => {
  let installed: Installed

  beforeAll(async () => {
    if (!existsSync('dist/index.js')) throw new Error('dist/ is missing: npm run build')
    installed = await installPacked()
  }, 120_000)

  afterAll(() => installed?.remove())

  it('holds the built files, the licence and the papers, and nothing else', () => {
    const unexpected = installed.files.filter(
      (file) => !/^(dist\/|package\.json$|README\.md$|LICENSE$|CHANGELOG\.md$)/.test(file),
    )
    expect(unexpected).toEqual([])
    expect(installed.files).toEqual(
      expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'dist/index.js', 'dist/index.d.ts']),
    )
    expect(installed.files.filter((file) => /\.test\.|\/test\//.test(file))).toEqual([])
  })

  for (const node of nodes) {
    if ('missing' in node) {
      it.skipIf(!inCi)(`runs on Node ${node.wanted} (${node.missing})`, () => {
        expect.fail(`no Node ${node.wanted} to run on: ${node.missing}`)
      })
      continue
    }
    it.concurrent.each(SMOKE_FILES)(`runs %s on Node ${node.version}`, { timeout: 90_000 }, async (file) => {
      expect(await installed.smoke(node.path, file)).toContain(`ok on ${node.version}`)
    })
  }
})
