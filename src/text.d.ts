// Scripts of the stores are files of their own; the build and the test runner hand them over as text.
// Next: ../scripts/build.ts.

declare module '*.lua' {
  const text: string
  export default text
}

declare module '*.sql' {
  const text: string
  export default text
}
