// The files of src/ and what they import, read as text: what the package tests look at.
// Next: floors.test.ts.

import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** One import, re-export or `import()` of a source file. */
export interface Import {
  /** As written. */
  readonly specifier: string
  /** The imported file for a relative import (`src/core/rate.ts`), otherwise undefined. */
  readonly target: string | undefined
  /** Erased by the compiler. */
  readonly typeOnly: boolean
}

/** A source file that is shipped: no test, no declaration file. */
export interface SourceFile {
  /** From the root, with forward slashes: `src/core/rate.ts`. */
  readonly path: string
  readonly text: string
  /** The text without comments, for looking at what the code does. */
  readonly code: string
  readonly imports: readonly Import[]
}

const STATEMENT = /\b(import|export)\b(\s+type\b)?([^'"`;()]*?)\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"`]([^'"`]+)['"`]/g

/** Every shipped file of src/. */
export function sourceFiles(): readonly SourceFile[] {
  return globSync('src/**/*.{ts,tsx}')
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !/\.(test|d)\.ts$/.test(path))
    .toSorted()
    .map((path) => parseSource(path, readFileSync(path, 'utf8')))
}

/** Exported for a test of the reading itself. */
export function parseSource(path: string, text: string): SourceFile {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
  const imports = [...code.matchAll(STATEMENT)].map((match): Import => {
    const specifier = match[4] ?? match[5] ?? ''
    const target = specifier.startsWith('.') ? join(dirname(path), specifier).replaceAll('\\', '/') : undefined
    return { specifier, target, typeOnly: match[2] !== undefined || onlyTypes(match[3]) }
  })
  return { path, text, code, imports }
}

/** `{ type A, type B }`: each name says that it is a type. */
function onlyTypes(clause = ''): boolean {
  const names = /^\s*\{([^}]*)\}\s*$/
    .exec(clause)?.[1]
    ?.split(',')
    .filter((name) => name.trim() !== '')
  return names !== undefined && names.length > 0 && names.every((name) => /^\s*type\s/.test(name))
}
