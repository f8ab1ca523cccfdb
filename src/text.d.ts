// Scripts of the stores are files of their own; the build and the test runner hand them over as text, and the dashboard's page with its files.
// Next: ../scripts/build.ts, ../scripts/embed-page.ts.

declare module '*.lua' {
  const text: string
  export default text
}

declare module '*.sql' {
  const text: string
  export default text
}

declare module '*.html' {
  export const html: string
  export const files: Readonly<Record<string, string>>
}
