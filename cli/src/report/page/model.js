// The data of the page, and how numbers are written.

const data = JSON.parse(document.getElementById("data").textContent);

/** The column that networks are ranked by, and all columns of scores. */
const [SCORE, SCORE_TITLE] = data.score;
const SCORES = new Set(["score", SCORE, ...data.others]);

/** The value of a column in a row; a score of minus infinity as such. */
function value(column, row) {
  const { same, each, of, at } = data.columns[column];
  const found = of ? of[at[row]] : each ? each[row] : same;
  return SCORES.has(column) && found === "-inf" ? -Infinity : (found ?? null);
}

const scoreOf = (row) => value(SCORE, row);

/** Of a trace, what its epochs are; null where rows are networks of a space. */
const { trace } = data;

const rows = Array.from({ length: data.networks }, (_, row) => row);
const hasAccuracy = data.accuracy !== null;

/** Rows by what they are called in the address: their index, with the row behind it where an index comes again. */
const names = new Map();
const nameOf = rows.map((row) => {
  const index = String(value("index", row));
  const name = names.has(index) ? `${index}.${row}` : index;
  names.set(name, row);
  return name;
});

/** Rows of a trace by their epochs. */
const byEpoch = trace ? [...rows].sort((a, b) => value("epoch", a) - value("epoch", b)) : rows;

/** What a row is called. */
function titleOf(row) {
  if (!trace) return `Network ${nameOf[row]}`;
  return `${trace === "epoch" ? "Epoch" : "Checkpoint"} ${value("epoch", row)}`;
}

const repeated = new Set(data.repeated);

function number(value, decimals) {
  if (value === null) return "none";
  if (value === -Infinity) return "−inf";
  const options = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return value.toLocaleString("en", options).replace("-", "−");
}

const unit = hasAccuracy && data.accuracy[1] ? " %" : "";
/** A score with two decimals, unless it is a count. */
const scoreText = (column, row) => {
  const found = value(column, row);
  return number(found, column !== "score" && Number.isInteger(found) ? 0 : 2);
};
/** What an axis of accuracies says. */
const ACCURACY_TITLE = hasAccuracy ? `${data.accuracy[0] === "accuracy" ? "" : "accuracy, "}${data.accuracy[0]}${unit && " (%)"}` : "";
const accuracy = (row) => {
  const found = value("accuracy", row);
  return found === null ? "none" : number(found, unit ? 2 : 4) + unit;
};
const count = (column, row) => number(value(column, row), 0);

/** The name, value and unit of what is said of every network. */
function facts(row) {
  const all = [[SCORE, scoreText(SCORE, row)]];
  if (hasAccuracy) all.push(["accuracy", accuracy(row)]);
  for (const column of data.others) all.push([column, scoreText(column, row)]);
  // Those of a trace are all alike.
  for (const column of trace ? [] : data.sizes) all.push([column, count(column, row)]);
  return all;
}

function sentence(row) {
  return `${titleOf(row)}: ${facts(row).map(([name, text]) => `${name} ${text}`).join(", ")}`;
}

/** An element with attributes and children; text is text. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, text] of Object.entries(attributes)) made.setAttribute(key, text);
  made.append(...children);
  return made;
}

function definitions(className, pairs) {
  const list = element("dl", { class: className });
  for (const [name, text] of pairs) {
    list.append(element("div", {}, element("dt", {}, name), element("dd", {}, text)));
  }
  return list;
}

/** A table of a header and rows of cells, each a text or an element; columns of texts, by their names, start at the left. */
function table(header, lines, texts = []) {
  const column = (i) => (texts.includes(header[i]) ? { class: "text" } : {});
  const line = (name, cells) => element("tr", {}, ...cells.map((cell, i) => element(name, column(i), cell)));
  return element("table", {}, element("thead", {}, line("th", header)), element("tbody", {}, ...lines.map((cells) => line("td", cells))));
}
