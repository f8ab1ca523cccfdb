// Starts an example as a process of its own, as `npm run example <name>` does, and ends it. Reads dist/: `npm test` builds it first.
// Next: examples.test.ts.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** A running example. */
export interface Running extends AsyncDisposable {
  readonly port: number
  /** What it has printed so far. */
  readonly printed: string
  /** Asks the example to end, and resolves to its last line when it has. */
  stop(): Promise<string>
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Resolves when the example says that it listens; fails with all it has printed when it ends before. */
export async function startExample(name: string, environment: Readonly<Record<string, string>> = {}): Promise<Running> {
  const port = await freePort()
  const { child, output } = run([name], { PORT: String(port), ...environment })
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', () => output.text.includes('Listening') && resolve())
    child.once('close', (code) => reject(new Error(`${name} ended with ${code}:\n${output.text}`)))
  })
  return {
    port,
    get printed() {
      return output.text
    },
    async stop() {
      const closed = once(child, 'close')
      child.kill('SIGTERM')
      await closed
      return output.text.trimEnd().split('\n').at(-1) ?? ''
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'close')
    },
  }
}

/** Runs the starter to its end. */
export async function runToEnd(
  arguments_: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; text: string }> {
  const { child, output } = run(arguments_, environment)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, text: output.text }
}

function run(arguments_: readonly string[], environment: Readonly<Record<string, string>>) {
  const child: ChildProcess = spawn(process.execPath, ['examples/run.ts', ...arguments_], {
    env: { ...process.env, ...environment },
  })
  const output = { text: '' }
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => void (output.text += String(chunk)))
  return { child, output }
}
