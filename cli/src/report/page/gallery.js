// All networks, in pages. Only the page that is seen is in the document.

const PAGE = 24;
const form = document.getElementById("filter");
/** The networks that pass the filter, in their order. */
let found = rows;
let page = 0;

for (const column of [...(trace ? ["epoch"] : []), SCORE, ...(hasAccuracy ? ["accuracy"] : []), ...data.others, ...data.sizes, "index"]) {
  form.elements.sort.append(element("option", { value: column }, column));
}
if (trace) form.elements.order.value = "up";
{
  const used = new Set(data.cells.flatMap((cell) => (cell ? [...cell[1]] : [])));
  data.kinds.forEach((kind, i) => {
    if (kind.operation && used.has(i.toString(36))) {
      form.elements.operation.append(element("option", { value: i.toString(36) }, kind.label));
    }
  });
}

const texts = new Map();
function textOf(row) {
  if (!texts.has(row)) {
    const all = ["index", "id", "arch", "error"].map((column) => value(column, row) ?? "");
    texts.set(row, all.join("\n").toLowerCase());
  }
  return texts.get(row);
}

const STATES = {
  all: () => true,
  finite: (row) => Number.isFinite(scoreOf(row)),
  infinite: (row) => scoreOf(row) === -Infinity,
  failed: (row) => scoreOf(row) === null,
  repeated: (row) => repeated.has(row),
};

/** Filters and sorts by what the form says, and shows the first page. */
function filter() {
  const { text, state, operation, from, to, sort, order } = form.elements;
  const words = text.value.toLowerCase().trim();
  const low = from.valueAsNumber, high = to.valueAsNumber;
  found = rows.filter((row) => {
    const its = scoreOf(row);
    return (
      STATES[state.value](row) &&
      (Number.isNaN(low) || (its !== null && its >= low)) &&
      (Number.isNaN(high) || (its !== null && its <= high)) &&
      (!operation.value || data.cells[row]?.[1].includes(operation.value)) &&
      (!words || textOf(row).includes(words))
    );
  });
  const sign = order.value === "up" ? 1 : -1;
  const keys = new Map(found.map((row) => [row, value(sort.value, row)]));
  // Equal ones stay in the order of the rows, and those without a value are last.
  found.sort((a, b) => {
    const x = keys.get(a), y = keys.get(b);
    if (x === null || y === null) return (x === null) - (y === null);
    return x === y ? 0 : sign * (x < y ? -1 : 1);
  });
  turn(0);
}

/** Shows a page. */
function turn(to) {
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  page = Math.min(Math.max(to, 0), pages - 1);
  const cards = found.slice(page * PAGE, (page + 1) * PAGE).map(card);
  if (!cards.length) cards.push(element("li", { class: "empty" }, "No network passes the filter."));
  const list = document.getElementById("cards");
  list.replaceChildren(...cards);
  list.start = page * PAGE + 1;
  const all = `${number(rows.length, 0)} ${trace ? "checkpoint" : "network"}${rows.length === 1 ? "" : "s"}`, some = number(found.length, 0);
  document.getElementById("found").textContent =
    found.length < rows.length ? `${some} of ${all}` : all;
  for (const pager of document.querySelectorAll(".pager")) {
    pager.querySelector("span").textContent = `Page ${number(page + 1, 0)} of ${number(pages, 0)}`;
    for (const button of pager.querySelectorAll("button")) {
      button.disabled = target(button.dataset.to, pages) === page;
    }
  }
}

function target(to, pages) {
  const places = { first: 0, previous: Math.max(page - 1, 0), next: Math.min(page + 1, pages - 1), last: pages - 1 };
  return places[to];
}

function card(row) {
  const side = element("span", { class: "side" }, element("span", { class: "name" }, titleOf(row)));
  // A trace has one cell, and a kernel of each checkpoint.
  const [cell, map] = [trace ? null : drawCell(row), drawHeat(row)];
  if (cell && map) side.append(map);
  const error = value("error", row);
  if (error !== null) {
    side.append(element("span", { class: "why" }, error));
  } else {
    for (const [name, text] of facts(row)) side.append(element("span", { class: "fact" }, element("small", {}, name), text));
  }
  const label = error === null ? sentence(row) : `${titleOf(row)}, failed: ${error}`;
  const button = element("button", { type: "button", class: "card", "aria-label": label });
  const nothing = trace ? "There is no K." : "The line could not be read as a network.";
  button.append(cell ?? (trace && map) ?? element("span", { class: "why" }, nothing), side);
  button.addEventListener("click", () => show(row));
  return element("li", {}, button);
}

for (const pager of document.querySelectorAll(".pager")) {
  const button = (to, text, name) => element("button", { type: "button", class: "quiet", "data-to": to, "aria-label": name }, text);
  pager.append(
    button("first", "«", "First page"),
    button("previous", "‹", "Previous page"),
    element("span"),
    button("next", "›", "Next page"),
    button("last", "»", "Last page"),
  );
  pager.addEventListener("click", (event) => {
    const to = event.target.closest("button")?.dataset.to;
    if (to) turn(target(to, Math.max(1, Math.ceil(found.length / PAGE))));
  });
}
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
// The form is reset after the event.
form.addEventListener("reset", () => setTimeout(filter));

/** Shows the networks of a range of scores. */
function filterScores(low, high) {
  form.reset();
  form.elements.from.value = low;
  form.elements.to.value = high;
  filter();
  document.getElementById("gallery").scrollIntoView();
}
