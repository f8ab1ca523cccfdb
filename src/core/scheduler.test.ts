import { spawnSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { bundleChild } from '../../test/child-bundle.ts'
import { systemScheduler } from './scheduler.ts'

describe("the machine's scheduler", () => {
  describe('with timers that are fed', () => {
    beforeEach(() => void vi.useFakeTimers())
    afterEach(() => void vi.useRealTimers())

    it('calls once, at its time and not before', () => {
      const call = vi.fn()
      systemScheduler.after(50, call)
      vi.advanceTimersByTime(49)
      expect(call).not.toHaveBeenCalled()
      vi.advanceTimersByTime(1)
      expect(call).toHaveBeenCalledOnce()
      vi.advanceTimersByTime(1000)
      expect(call).toHaveBeenCalledOnce()
    })

    it('does not call what was cancelled, and bears being cancelled again and after the call', () => {
      const [never, once] = [vi.fn(), vi.fn()]
      const cancel = systemScheduler.after(50, never)
      const late = systemScheduler.after(50, once)
      cancel()
      cancel()
      expect(vi.getTimerCount()).toBe(1)
      vi.advanceTimersByTime(100)
      late()
      expect(never).not.toHaveBeenCalled()
      expect(once).toHaveBeenCalledOnce()
    })

    it('calls in the order of the times', () => {
      const calls: string[] = []
      systemScheduler.after(30, () => calls.push('30'))
      systemScheduler.after(10, () => calls.push('10'))
      systemScheduler.after(20, () => calls.push('20'))
      vi.advanceTimersByTime(30)
      expect(calls).toEqual(['10', '20', '30'])
    })
  })

  it('bears a runtime whose timers are numbers', () => {
    const timers = vi.spyOn(globalThis, 'setTimeout').mockImplementation((() => 7) as never)
    const cleared = vi.spyOn(globalThis, 'clearTimeout').mockImplementation(() => undefined)
    try {
      systemScheduler.after(5, () => {})()
      expect(cleared).toHaveBeenCalledExactlyOnceWith(7)
    } finally {
      timers.mockRestore()
      cleared.mockRestore()
    }
  })

  it('has a time that never goes back, in ms', () => {
    let last = systemScheduler.now()
    const [from, dayFrom] = [last, Date.now()]
    for (let i = 0; i < 100_000; i++) {
      const now = systemScheduler.now()
      if (now < last) expect.fail(`${now} after ${last}`)
      last = now
    }
    expect(Math.abs(last - from - (Date.now() - dayFrom))).toBeLessThan(1000)
  })

  it('keeps no process alive', async () => {
    const contents = `import { systemScheduler } from './scheduler.ts'
      systemScheduler.after(600_000, () => console.log('called'))
      console.log('waits')`
    const { file, remove } = await bundleChild({ contents, resolveDir: import.meta.dirname })
    try {
      const child = spawnSync(process.execPath, [file], { timeout: 10_000, encoding: 'utf8' })
      expect([child.status, child.stdout, child.stderr]).toEqual([0, 'waits\n', ''])
    } finally {
      remove()
    }
  })
})
