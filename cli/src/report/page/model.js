// The data of the page, and how numbers are written.

const data = JSON.parse(document.getElementById("data").textContent);

/** The value of a column in a row; a score of minus infinity as such. */
function value(column, row) {
  const { same, each, of, at } = data.columns[column];
  const found = of ? of[at[row]] : each ? each[row] : same;
  return column === "score" && found === "-inf" ? -Infinity : (found ?? null);
}

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

const repeated = new Set(data.repeated);

function number(value, decimals) {
  if (value === null) return "none";
  if (value === -Infinity) return "−inf";
  const options = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return value.toLocaleString("en", options).replace("-", "−");
}

const unit = hasAccuracy && data.accuracy[1] ? " %" : "";
const score = (row) => number(value("score", row), 2);
const accuracy = (row) => {
  const found = value("accuracy", row);
  return found === null ? "none" : number(found, unit ? 2 : 4) + unit;
};
const count = (column, row) => number(value(column, row), 0);

/** The name, value and unit of what is said of every network. */
function facts(row) {
  const all = [["score", score(row)]];
  if (hasAccuracy) all.push(["accuracy", accuracy(row)]);
  all.push(["parameters", count("parameters", row)]);
  return all;
}

function sentence(row) {
  return `Network ${nameOf[row]}: ${facts(row).map(([name, text]) => `${name} ${text}`).join(", ")}`;
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
