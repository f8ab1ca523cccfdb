// A class with a decorated method, as the package's build lowers it: the test runner itself does not lower standard decorators.

import { transform } from 'esbuild'
import type { HandlerDecorator } from '../../src/http/wrap.ts'

/** The decorated method `show(parameters)` of an object whose `greeting` is "hello". */
export async function decorated(
  parameters: string,
  body: string,
  decorator: HandlerDecorator,
): Promise<{ readonly show: (...given: unknown[]) => unknown }> {
  const source = `export function make(decorate) {
    class Shown { greeting = 'hello'; @decorate show(${parameters}) { ${body} } }
    return new Shown()
  }`
  const { code } = await transform(source, { loader: 'ts', target: 'es2022' })
  const lowered = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
    make(decorator: HandlerDecorator): { show(...given: unknown[]): unknown }
  }
  const shown = lowered.make(decorator)
  return { show: (...given) => shown.show(...given) }
}
