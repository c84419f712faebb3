// The dialog that shows one network. The address remembers which: #network-12.

const dialog = document.getElementById("detail");
let shown = null;

/** The networks that Previous and Next go through: those of the gallery, in its order. */
function neighbours() {
  return found.includes(shown) ? found : rows;
}

function step(by) {
  const list = neighbours();
  const next = list[list.indexOf(shown) + by];
  if (next !== undefined) show(next);
}

/** Shows a network. */
function show(row) {
  shown = row;
  const list = neighbours(), place = list.indexOf(row);
  document.getElementById("detail-title").textContent = titleOf(row);
  document.getElementById("previous").disabled = place <= 0;
  document.getElementById("next").disabled = place >= list.length - 1;
  document.getElementById("detail-body").replaceChildren(...detail(row));
  if (!dialog.open) dialog.showModal();
  // A button that has become disabled would keep the keys to itself.
  if (!dialog.contains(document.activeElement) || document.activeElement.disabled) document.getElementById("detail-title").focus();
  dialog.scrollTop = 0;
  const address = `#network-${nameOf[row]}`;
  if (location.hash !== address) history.replaceState(null, "", address);
}

function detail(row) {
  const pictures = element("div", { class: "pictures" });
  const cell = drawCell(row), map = drawHeat(row);
  if (cell) pictures.append(element("figure", {}, cell));
  if (map) {
    const reading = element("p", { class: "reading" }, "Point at a square to read it.");
    map.addEventListener("pointermove", (event) => {
      const at = (offset, length) => Math.min(heat.side - 1, Math.max(0, Math.floor((offset / length) * heat.side)));
      const i = at(event.offsetY, map.clientHeight), j = at(event.offsetX, map.clientWidth);
      reading.textContent = readSquare(row, i, j);
    });
    pictures.append(element("figure", {}, map, reading));
  }
  const columns = data.order.filter((column) => value(column, row) !== null);
  const text = (column) => {
    if (column === "accuracy") return accuracy(row);
    const found = value(column, row);
    return found === -Infinity ? "−inf" : String(found);
  };
  const name = (column) => (column === "accuracy" ? `accuracy (${data.accuracy[0]})` : column);
  return [definitions("figures", facts(row)), pictures, definitions("columns", columns.map((column) => [name(column), text(column)]))];
}

/** Shows the network that the address names. */
function showAddressed() {
  const name = location.hash.match(/^#network-(.+)$/)?.[1];
  const row = name === undefined ? undefined : names.get(decodeURIComponent(name));
  if (row !== undefined) show(row);
  else if (dialog.open) dialog.close();
}

dialog.addEventListener("close", () => {
  shown = null;
  if (location.hash.startsWith("#network-")) history.replaceState(null, "", location.pathname + location.search);
});
dialog.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "ArrowRight") step(1);
  else return;
  event.preventDefault();
});
// A click on what is around the dialog is one on the dialog itself.
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
document.getElementById("previous").addEventListener("click", () => step(-1));
document.getElementById("next").addEventListener("click", () => step(1));
document.getElementById("close").addEventListener("click", () => dialog.close());
window.addEventListener("hashchange", showAddressed);
