/** Draws bars as SVG. The picture has its own background, so that it is readable on light and dark pages. */
interface Panel {
  readonly title: string
  readonly bars: ReadonlyArray<{
    readonly label: string
    /** 1 is the full length, unless a bar is longer. */
    readonly value: number
    readonly ours: boolean
  }>
}

const line = 22
const left = 300
const width = 420
const right = 70
const margin = 20

export const picture = (panels: ReadonlyArray<Panel>): string => {
  // If a value is above 1, the longest bar has the full width.
  const scale = width / Math.max(1, ...panels.flatMap(({ bars }) => bars.map(({ value }) => value)))
  let y = margin
  const text = (x: number, content: string, rest = "") =>
    `<text x="${Math.round(x)}" y="${y + 15}"${rest}>${escape(content)}</text>`
  const drawn = panels.flatMap(({ bars, title }) => {
    const head = text(margin, title, ' class="title"')
    y += line
    const lines = bars.flatMap(({ label, ours, value }) => {
      const length = Math.max(value * scale, 1)
      const parts = [
        text(left - 10, label, ' text-anchor="end"'),
        `<rect x="${left}" y="${y + 3}" width="${length.toFixed(1)}" height="${line - 6}" class="${ours ? "ours" : "peer"}"/>`,
        text(left + length + 6, value.toFixed(2))
      ]
      y += line
      return parts
    })
    y += line / 2
    return [head, ...lines]
  })
  const [w, h] = [left + width + right, y]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" role="img">`,
    "<title>Requests per second, as a ratio to node:http with a map of verified tokens</title>",
    `<style>${style}</style>`,
    `<rect width="${w}" height="${h}" rx="8" class="ground"/>`,
    ...drawn,
    "</svg>\n"
  ].join("\n")
}

const style = [
  "text { font: 13px system-ui, sans-serif; fill: #1f2328 }",
  ".title { font-weight: 600 }",
  ".ground { fill: #f6f8fa }",
  ".ours { fill: #0969da }",
  ".peer { fill: #8c959f }",
  "@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .ground { fill: #161b22 } .ours { fill: #58a6ff } .peer { fill: #6e7681 } }"
].join("\n")

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
