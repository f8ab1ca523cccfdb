// Express 4 under an alias; the tests use what it shares with Express 5, whose types serve for both.
declare module 'express4' {
  import express from 'express'
  export default express
}
