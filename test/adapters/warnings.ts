// The package's own warnings, as a process hears them.

/** Messages of the warnings that `act` causes. Each message comes once per process. */
export async function warningsDuring(act: () => unknown): Promise<string[]> {
  const heard: string[] = []
  const listen = (warning: Error): void => void (warning.name === 'RateLimitWarning' && heard.push(warning.message))
  process.on('warning', listen)
  await act()
  // Warnings are emitted in a later turn.
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', listen)
  return heard
}
