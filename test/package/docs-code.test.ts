// The TypeScript of README.md and docs/ compiles against the built package, as a reader who copies it would find.
// A block is a file of its own; the package resolves by its own name. Next: ../../docs/.

import { execFileSync } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'

interface Block {
  readonly page: string
  readonly line: number
  readonly language: string
  readonly code: string
}

const FOLDER = '.cache/docs-code'
/** For code with decorators of the older kind, which have a compiler setting of their own. */
const OLDER = 'older-decorators'
const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md').toSorted()]
const blocks = pages.flatMap((page) => codeBlocks(page, readFileSync(page, 'utf8')))
const typescript = blocks.filter(({ language }) => language === 'ts')
let errors: readonly string[] = []

beforeAll(() => {
  rmSync(FOLDER, { recursive: true, force: true })
  for (const block of typescript) {
    mkdirSync(dirname(fileOf(block)), { recursive: true })
    // Blank lines in front keep the line numbers of the page.
    writeFileSync(fileOf(block), `${'\n'.repeat(block.line)}${block.code}\nexport {}\n`)
  }
  // Fails when the package's types are not found, or are `any`, so that a pass of the others means something.
  writeFileSync(
    join(FOLDER, 'canary.ts'),
    [
      `import { createLimiter } from 'smart-ratelimit'`,
      `const decision = createLimiter({ rate: '5/m' }).check('a')`,
      `const allowed: boolean = decision.allowed`,
      `// @ts-expect-error the type of a field is known`,
      `const wrong: string = decision.allowed`,
      `// @ts-expect-error a misspelt option is an error`,
      `createLimiter({ rat: '5/m' })`,
      `export { allowed, wrong }`,
    ].join('\n'),
  )
  const compilerOptions = { rootDir: '../..', noUnusedLocals: false, noUnusedParameters: false }
  writeFileSync(
    join(FOLDER, 'tsconfig.json'),
    JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, include: ['.'], exclude: [OLDER] }),
  )
  const older = { ...compilerOptions, rootDir: '../../..', experimentalDecorators: true, emitDecoratorMetadata: true }
  mkdirSync(join(FOLDER, OLDER), { recursive: true })
  writeFileSync(
    join(FOLDER, OLDER, 'tsconfig.json'),
    JSON.stringify({ extends: '../../../tsconfig.json', compilerOptions: older, include: ['.'], exclude: [] }),
  )
  errors = [...compile(FOLDER), ...compile(join(FOLDER, OLDER))]
}, 120_000)

it('the compiler sees the types of the built package', () => {
  expect(errors.filter((line) => line.includes('canary.ts') || !line.startsWith(`${FOLDER}/`))).toEqual([])
})

it.each(pages)('%s compiles', (page) => {
  const places = [`${FOLDER}/${page}/`, `${FOLDER}/${OLDER}/${page}/`]
  expect(errors.filter((line) => places.some((place) => line.startsWith(place)))).toEqual([])
})

it('the README and every page about use have code', () => {
  const without = ['README.md', 'docs/algorithms.md', 'docs/options.md', 'docs/rates.md'].filter(
    (page) => !typescript.some((block) => block.page === page),
  )
  expect(without).toEqual([])
})

it('no block dodges the compiler by another name', () => {
  const known = ['ts', 'sh', 'json', 'text', 'http', 'console']
  expect(
    blocks.filter(({ language }) => !known.includes(language)).map(({ page, line, language }) => `${page}:${line} ${language}`),
  ).toEqual([])
})

function codeBlocks(page: string, text: string): Block[] {
  return [...text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    page,
    line: text.slice(0, match.index).split('\n').length,
    language: (match[1] ?? '').trim(),
    code: match[2] ?? '',
  }))
}

function fileOf({ page, line, code }: Block): string {
  const folder = /from '@nestjs\/|"experimentalDecorators"/.test(code) ? join(FOLDER, OLDER) : FOLDER
  return join(folder, page, `line-${line}.ts`)
}

function compile(folder: string): string[] {
  try {
    execFileSync('node_modules/.bin/tsc', ['-p', folder, '--pretty', 'false'], { encoding: 'utf8' })
    return []
  } catch (error) {
    const { stdout } = error as { stdout: string }
    // An error's further lines are indented; they stay with it.
    return stdout.trim().split(/\n(?! )/)
  }
}
