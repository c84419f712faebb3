// The charts, drawn by Chart.js.

const several = data.spaces.length > 1;
let charts = [];

/** A color of the style sheet as it is in the theme of the page. */
function color(name) {
  document.body.style.setProperty("outline-color", `var(${name})`);
  return getComputedStyle(document.body).outlineColor;
}

/** The color of a space's networks; four tell apart those of one page. */
function series(space) {
  return color(`--series-${data.spaces.indexOf(space) % 4}`);
}

function axis(title, more = {}) {
  return {
    type: "linear",
    title: { display: true, text: title, color: color("--muted") },
    grid: { color: color("--line"), lineWidth: 0.75 },
    border: { color: color("--line") },
    // No label for an end that is no round number.
    ticks: { color: color("--muted"), maxRotation: 0, includeBounds: false },
    ...more,
  };
}

function chart(id, type, datasets, scales, more) {
  const { plugins = {}, ...options } = more;
  charts.push(
    new Chart(document.getElementById(id), {
      type,
      data: { datasets },
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        scales,
        plugins: { legend: { display: several, labels: { usePointStyle: true, boxHeight: 7, color: color("--ink") } }, ...plugins },
        ...options,
      },
    }),
  );
}

/** The bars of the scores; a click on one shows its networks. */
function histogram() {
  const { start, width, spaces, counts } = data.bins;
  if (!counts.length) return;
  const edges = (i) => [start + i * width, start + (i + 1) * width];
  const datasets = counts.map((bars, s) => ({
    label: data.titles[spaces[s]],
    data: bars.map((y, i) => ({ x: (edges(i)[0] + edges(i)[1]) / 2, y })),
    backgroundColor: series(spaces[s]),
    barPercentage: 0.97,
    categoryPercentage: 1,
    maxBarThickness: width > 0 ? undefined : 40,
    pointStyle: "rect",
  }));
  // All scores are equal where there is no width.
  const ends = width > 0 ? { min: start, max: edges(counts[0].length)[0] } : { min: start - 1, max: start + 1 };
  chart(
    "histogram",
    "bar",
    datasets,
    {
      x: axis(SCORE_TITLE, { offset: false, stacked: true, grid: { display: false }, ...ends }),
      y: axis("networks", { beginAtZero: true, stacked: true, ticks: { precision: 0, color: color("--muted") } }),
    },
    {
      onClick: (_, [hit]) => hit && filterScores(...edges(hit.index).map((edge, i) => (i ? Math.ceil : Math.floor)(edge * 1e4) / 1e4)),
      onHover: pointer,
      plugins: {
        tooltip: {
          callbacks: {
            title: ([hit]) => `score ${edges(hit.dataIndex).map((edge) => number(edge, 2)).join(" to ")}`,
            label: ({ parsed }) => `${number(parsed.y, 0)} networks`,
          },
        },
      },
    },
  );
}

function pointer(event, hits) {
  event.native.target.style.cursor = hits.length ? "pointer" : "";
}

/** One point for each row that has both numbers, and lines, given the points that are drawn; a click opens its network. */
function scatter(id, x, y, scales, outliers, lines = () => []) {
  const radius = rows.length > 2000 ? 2 : rows.length > 400 ? 3 : 4;
  const all = rows.map((row) => ({ x: value(x, row), y: value(y, row), row })).filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y));
  const drawn = drawnPoints(id, all, outliers);
  const datasets = data.spaces.map((space) => ({
    label: several ? data.titles[space] : "networks",
    data: drawn.filter(({ row }) => value("space", row) === space),
    backgroundColor: `color-mix(in srgb, ${series(space)} 62%, transparent)`,
    borderWidth: 0,
    pointRadius: radius,
    pointHoverRadius: radius + 3,
    pointHoverBackgroundColor: series(space),
    pointHitRadius: 3,
    order: 1,
  }));
  for (const line of lines(drawn)) {
    datasets.push({ ...line, type: "line", borderWidth: 2, pointRadius: 0, pointHitRadius: 0, pointHoverRadius: 0, pointStyle: "line", order: 0 });
  }
  pointChart(id, datasets, scales, several || datasets.length > data.spaces.length);
}

/** A chart of points that each are of a row: read by pointing at them or by keys, and opened. */
function pointChart(id, datasets, scales, legend) {
  const rowOf = (hit) => datasets[hit.datasetIndex].data[hit.index].row;
  chart(id, "scatter", datasets, scales, {
    interaction: { mode: "nearest", intersect: true },
    onClick: (_, [hit]) => hit && rowOf(hit) !== undefined && show(rowOf(hit)),
    onHover: pointer,
    plugins: {
      legend: { display: legend, labels: { usePointStyle: true, boxHeight: 7, color: color("--ink") } },
      tooltip: {
        displayColors: false,
        filter: ({ raw }) => raw.row !== undefined,
        callbacks: {
          title: ([hit]) => (hit ? titleOf(hit.raw.row) : ""),
          label: ({ raw }) => facts(raw.row).map(([name, text]) => `${name} ${text}`),
        },
      },
    },
  });
  byKeys(id, charts.at(-1), datasets.flatMap((set, s) => set.data.map((point, index) => ({ ...point, datasetIndex: s, index }))).filter((point) => point.row !== undefined && Number.isFinite(point.y)));
}

/** Lets arrow keys go from point to point, by x, and Enter open the network. */
function byKeys(id, chart, points) {
  points.sort((a, b) => a.x - b.x || a.y - b.y);
  const canvas = document.getElementById(id), reading = document.getElementById(`${id}-at`);
  let at = -1;
  const mark = (hits) => {
    chart.setActiveElements(hits);
    chart.update("none");
  };
  canvas.onkeydown = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (by !== undefined && points.length) {
      at = Math.min(Math.max(at + by, 0), points.length - 1);
      mark([points[at]]);
      reading.textContent = `${sentence(points[at].row)}. Enter opens it.`;
    } else if (event.key === "Enter" && points[at]) {
      show(points[at].row);
    } else {
      return;
    }
    event.preventDefault();
  };
  canvas.onblur = () => {
    if (dialog.open) return;
    at = -1;
    reading.textContent = "";
    mark([]);
  };
}

/** The regressions of accuracy over score, over the scores that are drawn. */
function trends(points) {
  return data.trends.flatMap(([space, { slope, intercept }]) => {
    const scores = points.filter(({ row }) => value("space", row) === space).map(({ x }) => x);
    if (!scores.length) return [];
    const ends = [scores.reduce((a, b) => Math.min(a, b)), scores.reduce((a, b) => Math.max(a, b))];
    const label = `accuracy over score, least squares${several ? `, ${data.titles[space]}` : ""}`;
    const borderColor = several ? series(space) : color("--trend");
    return [{ label, borderColor, data: ends.map((x) => ({ x, y: intercept + slope * x })) }];
  });
}

function drawCharts() {
  charts.forEach((chart) => chart.destroy());
  charts = [];
  Chart.defaults.color = color("--muted");
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12.5;
  if (trace) {
    drawTrace();
    return;
  }
  histogram();
  if (hasAccuracy) {
    scatter("by-accuracy", SCORE, "accuracy", { x: axis(SCORE_TITLE), y: axis(ACCURACY_TITLE) }, { lowest: "the lowest 5 % of accuracies" }, trends);
  }
  // 10K, 20K, 50K, 100K and so on.
  const compact = new Intl.NumberFormat("en", { notation: "compact" });
  const ticks = { color: color("--muted"), maxRotation: 0, callback: (tick) => (/^[125]0*$/.test(String(tick)) ? compact.format(tick) : null) };
  scatter("by-parameters", "parameters", SCORE, { x: axis("parameters", { type: "logarithmic", ticks }), y: axis(SCORE_TITLE) }, { logarithmic: true });
}
