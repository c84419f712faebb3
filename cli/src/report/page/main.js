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
document.getElementById("zoom").addEventListener("change", drawCharts);

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

drawPair();
drawScales();
filter();
themed();
showAddressed();
