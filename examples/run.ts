// Starts an example: `npm run example express`. Without a name it lists them all. PORT chooses the port (3000 if it is not set).
// Each example also runs by itself, `node examples/express.ts`, once `npm run build` has made the package it imports.

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const examples = readdirSync(folder)
  .filter((file) => file.endsWith('.ts') && file !== 'run.ts')
  .map((file) => file.slice(0, -'.ts'.length))

const [name] = process.argv.slice(2)
if (name === undefined) list()
else if (examples.includes(name)) await start(name)
else fail(`There is no example "${name}".`)

function list(): void {
  console.log('Examples. Start one with `npm run example <name>`:\n')
  for (const example of examples) {
    // A file's first line says what it shows.
    const [line = ''] = readFileSync(join(folder, `${example}.ts`), 'utf8').split('\n')
    console.log(`  ${example.padEnd(18)} ${line.replace(/^\/\/ /, '')}`)
  }
}

async function start(example: string): Promise<void> {
  process.on('uncaughtException', explain)
  await import(`./${example}.ts`).catch(explain)
}

function explain(error: unknown): never {
  const { code, port } = error as { code?: string; port?: number }
  if (code === 'EADDRINUSE') fail(`Port ${port} is taken. Choose another one: PORT=${Number(port) + 1} npm run example ${name}`)
  console.error(error)
  process.exit(1)
}

function fail(message: string): never {
  console.error(message)
  console.error('`npm run example` lists all examples.')
  process.exit(1)
}
