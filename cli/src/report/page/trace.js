// The page of a trace: the checkpoints of a training over their epochs.

/** Pixels left of an axis of a trace, so that epochs of both charts stand below each other. */
const LEFT = 76;

/** The networks that were traced, nearly always one, by their ids. */
const traced = trace ? [...new Set(rows.map((row) => value("id", row)))] : [];

/** The lines of a column over the epochs; they break where it has no finite value. */
function overEpochs(id, column, title) {
  const datasets = traced.map((network, i) => {
    const ofIt = byEpoch.filter((row) => value("id", row) === network);
    const own = color(`--series-${i % 4}`);
    return {
      type: "line",
      label: network ?? "none",
      data: ofIt.map((row) => {
        const y = value(column, row);
        return { x: value("epoch", row), y: Number.isFinite(y) ? y : NaN, row };
      }),
      borderColor: own,
      backgroundColor: own,
      borderWidth: 2,
      pointRadius: rows.length > 200 ? 2 : 4,
      pointHoverRadius: 7,
      pointStyle: "circle",
      pointHitRadius: 3,
    };
  });
  const aligned = { afterFit: (scale) => (scale.width = LEFT) };
  pointChart(id, datasets, { x: axis(trace), y: axis(title, aligned) }, traced.length > 1);
}

function drawTrace() {
  overEpochs("by-epoch", SCORE, SCORE_TITLE);
  if (hasAccuracy) overEpochs("accuracy-by-epoch", "accuracy", ACCURACY_TITLE);
}

/** The network that was trained, and K at the ends of its training. */
function drawTraced() {
  const figures = traced.map((id) => {
    const row = rows.find((row) => value("id", row) === id);
    const sizes = data.sizes.map((column) => [column, count(column, row)]);
    const caption = element("figcaption", {}, element("strong", {}, traced.length > 1 ? `Network ${id}` : "The network"));
    const pictures = element("div", { class: "pictures" }, drawCell(row) ?? "");
    return element("figure", {}, caption, pictures, definitions("figures", sizes));
  });
  const scored = byEpoch.filter((row) => heatPlace[row] !== null);
  const ends = traced.length === 1 && scored.length > 1 ? [["First", scored[0]], ["Last", scored.at(-1)]] : [];
  for (const [name, row] of ends) {
    const open = element("button", { type: "button", class: "quiet" }, "All columns");
    open.addEventListener("click", () => show(row));
    const caption = element("figcaption", {}, element("strong", {}, `${name}: ${titleOf(row).toLowerCase()}`), open);
    const pictures = element("div", { class: "pictures" }, drawHeat(row));
    figures.push(element("figure", {}, caption, pictures, definitions("figures", facts(row))));
  }
  document.getElementById("traced").append(...figures);
}

/** All checkpoints as a table, in the order of their epochs. */
function drawCheckpoints() {
  const failed = rows.some((row) => value("error", row) !== null);
  const columns = [
    ["epoch", (row) => element("a", { href: `#network-${nameOf[row]}` }, String(value("epoch", row)))],
    [SCORE, (row) => scoreText(SCORE, row)],
    ...(hasAccuracy ? [["accuracy", accuracy]] : []),
    ...data.others.map((column) => [column, (row) => scoreText(column, row)]),
    ["checkpoint", (row) => value("checkpoint", row) ?? ""],
    ...(failed ? [["error", (row) => value("error", row) ?? ""]] : []),
  ];
  const lines = byEpoch.map((row) => columns.map(([, text]) => text(row)));
  document.getElementById("checkpoints").append(table(columns.map(([name]) => name), lines, ["checkpoint", "error"]));
}
