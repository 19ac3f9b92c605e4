// Nodes, never markup: whatever comes from a plant stays text.
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [kind, run] of Object.entries(value)) made.addEventListener(kind, run);
    else if (key === "class") made.className = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((one) => one !== null && one !== undefined));
  return made;
}

// A chart of the server's: parsed as SVG, and only what is one gets in.
export function chart(text) {
  const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  return root.localName === "svg" ? document.importNode(root, true) : el("p", {}, "?");
}

const LEFT = ["text", "word", "time", "clock", "loss", "reason", "alert", "action", "refused", "yes"];
const MOST = 25;

// A table of texts, 25 rows at a time; `extra(i)` makes a last cell.
export function table(data, extra) {
  const cell = (kind) => (["time", "clock"].includes(kind) ? "t n" : LEFT.includes(kind) ? "t" : "n");
  const head = data.columns.map((one) =>
    el("th", { scope: "col", class: cell(one.kind) }, one.title + (one.kind === "ns" && !/min/i.test(one.title) ? " (min)" : "")));
  const body = el("tbody");
  let from = 0;
  const more = el("button", { type: "button", on: { click: () => fill() } });
  function fill() {
    for (const [i, row] of data.rows.slice(from, from + MOST).entries()) {
      const cells = row.map((text, k) => el("td", { class: cell(data.columns[k].kind) }, text));
      body.append(el("tr", {}, cells, extra ? el("td", {}, extra(from + i)) : null));
    }
    from += MOST;
    more.textContent = `+ ${data.rows.length - from}`;
    more.hidden = from >= data.rows.length;
  }
  fill();
  if (extra) head.push(el("th", {}, ""));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": data.title },
    el("table", {}, el("thead", {}, el("tr", {}, head)), body), more);
}
