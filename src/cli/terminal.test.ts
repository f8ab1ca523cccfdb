import { expect, test, vi } from 'vitest'
import { columns, printable, progressLine, styler } from './terminal.ts'

test('colours are put around texts where they are wanted, and nowhere else', () => {
  expect(styler(true)('red', 'no')).toBe('\u001b[31mno\u001b[39m')
  expect(styler(false)('red', 'no')).toBe('no')
  // This test's output is no terminal.
  expect(styler()('red', 'no')).toBe('no')
})

test('columns stand under each other, whatever their colours', () => {
  const rows = [
    ['a', { text: '5', right: true }, { text: 'yes', format: 'green' as const }, 'end'],
    ['longer', { text: '1,000', right: true }, 'no', ''],
  ]
  expect(columns(rows, styler(false))).toEqual(['a           5  yes  end', 'longer  1,000  no'])
  expect(columns(rows, styler(true))[0]).toBe('a           5  \u001b[32myes\u001b[39m  end')
  expect(columns([], styler(false))).toEqual([])
})

test('text from elsewhere cannot command the terminal, nor fill it', () => {
  expect(printable('a\u001b[2Jb\r\n\u202ec')).toBe('a\\u{1b}[2Jb\\u{d}\\u{a}\\u{202e}c')
  expect(printable('x'.repeat(500))).toBe(`${'x'.repeat(120)}…`)
})

test('progress is silent where standard error is no terminal', () => {
  const write = vi.spyOn(process.stderr, 'write')
  const progress = progressLine()
  progress.show('half')
  progress.clear()
  expect(write).not.toHaveBeenCalled()
  write.mockRestore()
})
