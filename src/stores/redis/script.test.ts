import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Script } from './script.ts'

const TEXT = 'return 1'
const DIGEST = createHash('sha1').update(TEXT).digest('hex')

/** A server that answers by the name of the command: with an error's text, or with its own name. */
function server(errors: Readonly<Record<string, string>>): {
  calls: string[][]
  send: (name: string, args: string[]) => Promise<string>
} {
  const calls: string[][] = []
  return {
    calls,
    send: async (name, args) => {
      calls.push([name, ...args])
      const error = errors[name]
      if (error !== undefined) throw new Error(error)
      return name
    },
  }
}

describe('calling a script', () => {
  it('names it by its digest, and hands its text over when the server has lost it', async () => {
    const { calls, send } = server({ EVALSHA: 'NOSCRIPT No matching script.' })
    expect(await new Script(TEXT).run(send, ['', '1', 'key', 'a'], false)).toBe('EVAL')
    expect(calls).toEqual([
      ['EVALSHA', DIGEST, '1', 'key', 'a'],
      ['EVAL', TEXT, '1', 'key', 'a'],
    ])
  })

  it('looks by the read-only form, and without it on a server that has none, which is asked once', async () => {
    const { calls, send } = server({ EVALSHA_RO: "ERR unknown command 'EVALSHA_RO', with args beginning with: " })
    const script = new Script(TEXT)
    expect(await script.run(send, ['', '0'], true)).toBe('EVALSHA')
    expect(await script.run(send, ['', '0'], true)).toBe('EVALSHA')
    expect(calls.map(([name]) => name)).toEqual(['EVALSHA_RO', 'EVALSHA', 'EVALSHA'])
  })

  it.each(['Connection is closed.', 'READONLY You can’t write', 'OOM command not allowed'])(
    'does not repeat it for anything else: %s',
    async (text) => {
      const { calls, send } = server({ EVALSHA: text })
      await expect(new Script(TEXT).run(send, ['', '0'], false)).rejects.toThrow(text)
      expect(calls).toHaveLength(1)
    },
  )

  it('gives up when the server loses it again at once', async () => {
    const { calls, send } = server({ EVALSHA: 'NOSCRIPT lost', EVAL: 'NOSCRIPT lost' })
    await expect(new Script(TEXT).run(send, ['', '0'], false)).rejects.toThrow('NOSCRIPT')
    expect(calls).toHaveLength(2)
  })
})
