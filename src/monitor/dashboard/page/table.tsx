// A table that can be sorted by its columns. Promise: it says what it is, which column sorts it and which way; figures are aligned; on a small
// screen the columns that matter less are left out. Next: policies.tsx.

import { type ComponentChildren, Fragment } from 'preact'
import { useState } from 'preact/hooks'

/** A column. */
export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => ComponentChildren
  /** What it is sorted by; without, it is not. */
  readonly by?: (row: Row) => number | string
  readonly numeric?: boolean
  /** Left out where there is little room. */
  readonly minor?: boolean
}

interface TableProps<Row> {
  /** For those who do not see it. */
  readonly caption: string
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  readonly keyOf: (row: Row) => string
  /** More about a row, below it. */
  readonly detail?: (row: Row) => ComponentChildren
}

interface Order {
  readonly column: number
  readonly isDown: boolean
}

export function Table<Row>({ caption, columns, rows, keyOf, detail }: TableProps<Row>) {
  const [order, setOrder] = useState<Order>()
  return (
    <div class="scroll">
      <table>
        <caption class="sr">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column, i) => (
              <Heading
                key={column.title}
                column={column}
                order={order?.column === i ? order : undefined}
                onOrder={(isDown) => setOrder({ column: i, isDown })}
              />
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted(rows, columns, order).map((row) => {
            const more = detail?.(row)
            return (
              <Fragment key={keyOf(row)}>
                <tr class={more === undefined ? undefined : 'open'}>
                  {columns.map((column, i) => {
                    const Cell = i === 0 ? 'th' : 'td'
                    return (
                      <Cell key={column.title} class={classOf(column)} {...(i === 0 && { scope: 'row' as const })}>
                        {column.cell(row)}
                      </Cell>
                    )
                  })}
                </tr>
                {more !== undefined && (
                  <tr class="detail">
                    <td colSpan={columns.length}>{more}</td>
                  </tr>
                )}
              </Fragment>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

interface HeadingProps<Row> {
  readonly column: Column<Row>
  readonly order: Order | undefined
  readonly onOrder: (isDown: boolean) => void
}

function Heading<Row>({ column, order, onOrder }: HeadingProps<Row>) {
  const sort = order === undefined ? 'none' : order.isDown ? 'descending' : 'ascending'
  return (
    <th scope="col" class={classOf(column)} aria-sort={column.by === undefined ? undefined : sort}>
      {column.by === undefined ? (
        column.title
      ) : (
        <button type="button" class="sort" onClick={() => onOrder(order === undefined ? column.numeric === true : !order.isDown)}>
          {column.title}
          <span aria-hidden="true">{sort === 'descending' ? '↓' : sort === 'ascending' ? '↑' : ''}</span>
        </button>
      )}
    </th>
  )
}

function classOf<Row>({ numeric, minor }: Column<Row>): string | undefined {
  const names = [numeric === true && 'number', minor === true && 'minor'].filter((name) => name !== false)
  return names.length === 0 ? undefined : names.join(' ')
}

function sorted<Row>(rows: readonly Row[], columns: readonly Column<Row>[], order: Order | undefined): readonly Row[] {
  const by = order === undefined ? undefined : columns[order.column]?.by
  if (by === undefined) return rows
  const sign = order?.isDown === true ? -1 : 1
  return rows.toSorted((a, b) => sign * (by(a) < by(b) ? -1 : by(a) > by(b) ? 1 : 0))
}
