// Puts the page together.

const theme = document.getElementById("theme");
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : systemDark.matches;
}

function themed() {
  theme.textContent = isDark() ? "Light" : "Dark";
  theme.setAttribute("aria-label", `Show the page ${isDark() ? "light" : "dark"}`);
  drawCharts();
}

theme.hidden = false;
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  themed();
});
systemDark.addEventListener("change", themed);

/** The networks of the highest and of the lowest finite score. */
function drawPair() {
  const finite = rows.filter(STATES.finite);
  if (!finite.length) return;
  const by = (better) => finite.reduce((a, b) => (better(scoreOf(b), scoreOf(a)) ? b : a));
  const highest = by((a, b) => a > b), lowest = by((a, b) => a < b);
  // One where all scores are equal.
  const pair = highest === lowest ? [["Highest and lowest", highest]] : [["Highest", highest], ["Lowest", lowest]];
  document.getElementById("pair").append(
    ...pair.map(([name, row]) => {
      const open = element("button", { type: "button", class: "quiet", "aria-label": `Open network ${nameOf[row]}` }, "All columns");
      open.addEventListener("click", () => show(row));
      const pictures = element("div", { class: "pictures" }, ...[drawCell(row), drawHeat(row)].filter(Boolean));
      const caption = element("figcaption", {}, element("strong", {}, `${name}: network ${nameOf[row]}`), open);
      return element("figure", {}, caption, pictures, definitions("figures", facts(row)));
    }),
  );
}

/** The networks of the highest scores, with what training them has come to. */
function drawTops() {
  for (const { space, of, k, precision, best_rank, first_rank, networks } of data.tops) {
    const link = (row) => element("a", { href: `#network-${nameOf[row]}` }, nameOf[row]);
    const [best] = networks.find(([, rank]) => rank === best_rank);
    const found = Math.round(precision * k);
    const title = element("h3", {}, `The ${k} highest scores${several ? ` of ${data.titles[space]}` : ""}`);
    const text = element(
      "p",
      { class: "below" },
      "The most accurate of them is network ", link(best), `, ${accuracy(best)}: number ${number(best_rank, 0)} of ${number(of, 0)} by accuracy. `,
      `The highest score is number ${number(first_rank, 0)}. ${found === 0 ? "None" : found} of them ${found < 2 ? "is" : "are"} among the ${k} most accurate.`,
    );
    const lines = networks.map(([row, rank], i) => [String(i + 1), link(row), scoreText(SCORE, row), accuracy(row), number(rank, 0)]);
    const scroll = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title.textContent });
    scroll.append(table(["rank by score", "network", SCORE, "accuracy", "rank by accuracy"], lines));
    document.getElementById("tops").append(title, text, scroll);
  }
}

if (trace) {
  drawTraced();
  drawCheckpoints();
} else {
  drawPair();
  drawTops();
}
drawScales();
filter();
themed();
showAddressed();
