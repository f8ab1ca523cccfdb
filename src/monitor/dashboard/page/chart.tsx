// A chart of what was allowed and refused over time. Promise: drawn anew only when its data, its width or its colours change; what it shows is
// also told in words. Next: traffic.tsx.

import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import type { Columns, Unit } from './charts.ts'
import { clockTime, minuteTime, short } from './format.ts'

interface ChartProps {
  readonly columns: Columns
  readonly unit: Unit
  /** Epoch ms of the right edge. */
  readonly until: number
  /** Ms from the left edge to the right. */
  readonly lengthMs: number
  /** What it shows, in words. */
  readonly label: string
  /** Place in the columns that is pointed at; undefined for none. */
  readonly onPoint: (at: number | undefined) => void
}

const HEIGHT = 240

export function Chart({ columns, unit, until, lengthMs, label, onPoint }: ChartProps) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const range = useRef<[number, number]>([0, 1])
  range.current = [(until - lengthMs) / 1000, until / 1000]
  const pointed = useRef(onPoint)
  pointed.current = onPoint

  useEffect(() => {
    const element = box.current as HTMLDivElement
    const make = (): void => {
      plot.current?.destroy()
      plot.current = new uPlot(
        optionsFor(
          element,
          unit,
          () => range.current,
          (at) => pointed.current(at),
        ),
        dataOf(columns),
        element,
      )
    }
    make()
    const sizes = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }))
    sizes.observe(element)
    document.addEventListener('theme', make)
    return () => {
      sizes.disconnect()
      document.removeEventListener('theme', make)
      plot.current?.destroy()
      plot.current = undefined
    }
  }, [unit])

  useEffect(() => plot.current?.setData(dataOf(columns)), [columns, until])

  return <div ref={box} class="chart" role="img" aria-label={label} />
}

/** The refused lie on the allowed, so the upper line is both. */
function dataOf({ at, allowed, refused, wouldRefuse }: Columns): uPlot.AlignedData {
  const all = allowed.map((count, i) => count + (refused[i] as number))
  // A line at zero all along would say nothing.
  const would = wouldRefuse.some((count) => count > 0) ? [...wouldRefuse] : wouldRefuse.map(() => null)
  return [[...at], all, [...allowed], would]
}

function optionsFor(
  element: HTMLElement,
  unit: Unit,
  range: () => [number, number],
  pointed: (at: number | undefined) => void,
): uPlot.Options {
  const style = getComputedStyle(element)
  const colour = (name: string): string => style.getPropertyValue(name).trim()
  const font = `12px ${style.fontFamily}`
  const steps = uPlot.paths.stepped?.({ align: 1 }) as uPlot.Series.PathBuilder
  const axis = { stroke: colour('--muted'), font, ticks: { show: false } }
  const time = unit === 'second' ? clockTime : minuteTime
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, points: { show: false } },
    padding: [12, 4, 0, 0],
    scales: {
      x: { time: true, range: () => range() },
      y: { range: (_, __, most) => [0, Math.max(4, Math.ceil(most * 1.08))] },
    },
    axes: [
      { ...axis, size: 28, grid: { show: false }, space: 90, values: (_, at) => at.map((seconds) => time(seconds * 1000)) },
      {
        ...axis,
        size: 48,
        grid: { stroke: colour('--line'), width: 1 },
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e4, 2e4, 5e4, 1e5, 1e6],
        values: (_, counts) => counts.map(short),
      },
    ],
    series: [
      {},
      { stroke: colour('--refused'), width: 1.5, paths: steps, points: { show: false } },
      { stroke: colour('--allowed'), width: 1.5, fill: colour('--allowed-area'), paths: steps, points: { show: false } },
      { stroke: colour('--would'), width: 1.5, dash: [4, 3], paths: steps, points: { show: false } },
    ],
    bands: [{ series: [1, 2], fill: colour('--refused-area') }],
    hooks: { setCursor: [(self) => pointed(self.cursor.idx ?? undefined)] },
  }
}
