// What has changed since a moment ago, piece by piece. Promise: each piece is written as JSON once; what is unchanged is not sent again.
// Next: feed.ts.

/** Name → JSON. */
export type Pieces = ReadonlyMap<string, string>

/** The fields of an object as pieces. */
export function piecesOf(data: object): Pieces {
  return new Map(Object.entries(data).map(([name, value]) => [name, JSON.stringify(value ?? null)]))
}

/** The pieces that are not what they were. */
export function changesOf(before: Pieces, after: Pieces): Pieces {
  return new Map([...after].filter(([name, json]) => before.get(name) !== json))
}

/** Pieces as one JSON object. */
export function joined(pieces: Pieces): string {
  return `{${[...pieces].map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`
}
