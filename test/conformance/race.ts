// Two processes that decide on the same counters at the same moment. Promise: they run this source, not an older build, and are gone
// afterwards. Next: race-worker.ts, which is what they run.

import { type ChildProcess, fork } from 'node:child_process'
import { bundleChild } from '../child-bundle.ts'
import type { RaceAnswer, RaceOrder } from './race-worker.ts'

/** Two processes with a store each. */
export interface WorkerPair {
  /** Lets both take at once; tells how many each was granted. */
  race(order: RaceOrder): Promise<readonly [number, number]>
  stop(): Promise<void>
}

/** Starts two processes that make their stores by `makeStore` of a module. */
export async function startWorkers(worker: { readonly module: string; readonly argument: unknown }): Promise<WorkerPair> {
  const contents = `import { makeStore } from ${JSON.stringify(worker.module)}\nimport { work } from './race-worker.ts'\nwork(makeStore)`
  const { file, remove } = await bundleChild({ contents, resolveDir: import.meta.dirname })
  const children = [fork(file), fork(file)] as const
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(end))
    remove()
  }
  return {
    async race(order) {
      const answers = children.map((child) => once(child))
      for (const child of children) child.send({ kind: 'prepare', argument: worker.argument, order })
      await Promise.all(answers)
      const results = children.map((child) => once(child))
      for (const child of children) child.send({ kind: 'go' })
      const [a, b] = await Promise.all(results)
      return [granted(a), granted(b)]
    },
    stop,
  }
}

function once(child: ChildProcess): Promise<RaceAnswer> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`a worker ended with ${code}`))
    child.once('exit', ended)
    child.once('message', (answer: RaceAnswer) => {
      child.off('exit', ended)
      if (answer.kind === 'failed') reject(new Error(`a worker failed: ${answer.message}`))
      else resolve(answer)
    })
  })
}

function granted(answer: RaceAnswer | undefined): number {
  if (answer?.kind !== 'done') throw new Error(`a worker answered ${answer?.kind}`)
  return answer.granted
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}
