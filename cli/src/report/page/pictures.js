// A network's cell as a graph, and its kernel as a heat map.

const SVG = "http://www.w3.org/2000/svg";

function svgElement(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

/** The shape of a row's cell and the kinds of its boxes; null where the network is not known. */
function cellOf(row) {
  const cell = data.cells[row];
  if (!cell) return null;
  const [shape, digits] = cell;
  return { shape: data.shapes[shape], kinds: Array.from(digits, (digit) => data.kinds[parseInt(digit, 36)]) };
}

/** The cell in words: what leads where. */
function describe({ shape, kinds }) {
  const total = {}, so_far = {};
  for (const { label } of kinds) total[label] = (total[label] ?? 0) + 1;
  const names = kinds.map(({ label }) => {
    so_far[label] = (so_far[label] ?? 0) + 1;
    return total[label] > 1 ? `${label} ${so_far[label]}` : label;
  });
  const to = names.map(() => []);
  for (const [from, into] of shape.edges) to[from].push(names[into]);
  const parts = names.map((name, i) => (to[i].length ? `${name} to ${to[i].join(" and ")}` : null));
  return `Graph of the cell: ${parts.filter(Boolean).join("; ")}.`;
}

/** The graph of a row's cell. */
function drawCell(row) {
  const cell = cellOf(row);
  if (!cell) return null;
  const { shape, kinds } = cell;
  const [width, height] = shape.size;
  const svg = svgElement("svg", { class: "cell", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": describe(cell) });
  for (const [from, to, path] of shape.edges) {
    const faint = kinds[from].none || kinds[to].none ? " faint" : "";
    svg.append(svgElement("path", { class: `edge${faint}`, d: path }));
  }
  shape.boxes.forEach(([x, y, w, h], i) => {
    const { label, operation, fill, text, none } = kinds[i];
    const place = { x: x - w / 2, y: y - h / 2, width: w, height: h, rx: operation ? 4 : h / 2 };
    const box = svgElement("rect", { ...place, class: none ? "none" : operation ? "operation" : "end" });
    const name = svgElement("text", { x, y }, label);
    // Properties, which the style sheet does not override.
    if (fill) box.style.fill = fill;
    if (text) name.style.fill = text;
    svg.append(box, name);
  });
  return svg;
}

const heat = data.heat && { ...data.heat, bytes: Uint8Array.from(atob(data.heat.squares), (c) => c.charCodeAt(0)) };
const shades = data.shades.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
const squaresOf = heat ? (heat.side * (heat.side + 1)) / 2 : 0;
/** The place of each row's heat map among all; rows without a score have none. */
let kernels = 0;
const heatPlace = rows.map((row) => (heat && value("score", row) !== null ? kernels++ : null));

/** One byte: the square of row i and column j of a network's heat map. */
function square(row, i, j) {
  const [low, high] = i < j ? [i, j] : [j, i];
  return heat.bytes[heatPlace[row] * squaresOf + (high * (high + 1)) / 2 + low];
}

/** The kernel of a row as a heat map; null where there is none. */
function drawHeat(row) {
  if (heatPlace[row] === null) return null;
  const { side, images } = heat;
  const label = `Heat map of K, ${images} × ${images} images, of ${titleOf(row).toLowerCase()}`;
  const canvas = element("canvas", { class: "heat", width: side, height: side, role: "img", "aria-label": label });
  const context = canvas.getContext("2d");
  const picture = context.createImageData(side, side);
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < side; j++) {
      picture.data.set([...shades[square(row, i, j)], 255], 4 * (i * side + j));
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

const share = (byte) => heat.least + (byte / 255) * (1 - heat.least);

/** What a square of a heat map stands for, in words. */
function readSquare(row, i, j) {
  const { block, images } = heat;
  const group = (at) => {
    const first = at * block, last = Math.min(first + block, images) - 1;
    return last > first ? `${first}–${last}` : `${first}`;
  };
  const bits = `${number(100 * share(square(row, i, j)), 1)} % of the bits`;
  return block > 1
    ? `Images ${group(i)} and ${group(j)}: ${bits} agree on average`
    : `Images ${group(i)} and ${group(j)}: ${bits} agree`;
}

/** Fills the bars that show the scale of the heat maps. */
function drawScales() {
  for (const canvas of document.querySelectorAll(".scale canvas")) {
    canvas.width = shades.length;
    canvas.height = 1;
    const context = canvas.getContext("2d");
    shades.forEach(([r, g, b], x) => {
      context.fillStyle = `rgb(${r} ${g} ${b})`;
      context.fillRect(x, 0, 1, 1);
    });
  }
}
