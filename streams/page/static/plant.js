// All lines, those that lose most first; an area, or a kind of state, by the address.
import { el } from "./dom.js";
import { lines, onChange } from "./stream.js";
import { order, renewed, silent, tile, timer } from "./tile.js";
import { address, query, timed, w } from "./words.js";

// Only what stands elsewhere than before is moved.
function fill(place, nodes) {
  if (nodes.length === place.children.length && nodes.every((node, i) => node === place.children[i])) return;
  place.replaceChildren(...nodes);
}

export function plant(main) {
  const area = query().get("area");
  const only = query().get("state");
  const counts = el("nav", { class: "counts", "aria-label": w("plant") });
  const find = el("input", { type: "search", class: "find", placeholder: w("search"), "aria-label": w("search"), hidden: true, on: { input: () => draw() } });
  const list = el("section", { class: "tiles" });
  const calm = el("section", { class: "tiles calm" });
  const calmTitle = el("h2", {}, w("calm_title"));
  main.append(counts, find, el("p", { class: "soft" }, w("worst_first")), list, calmTitle, calm);
  const shown = new Map();

  function draw() {
    const all = [...lines.values()].filter((one) => !area || one.area === area);
    const states = new Map();
    for (const one of all) states.set(one.state, (states.get(one.state) ?? 0) + 1);
    counts.replaceChildren(
      ...[...states].map(([state, n]) =>
        el("a", { href: address({ view: "plant", area, state: only === state ? null : state }), "aria-current": only === state }, `${w(state)} ${n}`)),
      ...[...new Set([...lines.values()].map((one) => one.area))].filter((name) => name).sort().map((name) =>
        el("a", { class: "area", href: address({ view: "plant", area: area === name ? null : name }), "aria-current": area === name }, name)));
    find.hidden = lines.size <= 20;
    const text = find.value.trim().toLowerCase();
    const wanted = all.filter((one) => (!only || one.state === only) && one.line.toLowerCase().includes(text)).sort(order);
    const focused = document.activeElement?.dataset?.line;
    for (const one of wanted) {
      const known = shown.get(one.line);
      if (!known) shown.set(one.line, { data: one, node: tile(one) });
      else if (known.data !== one) shown.set(one.line, { data: one, node: renewed(known.node, known.data, one) });
    }
    fill(list, wanted.filter((one) => !one.calm).map((one) => shown.get(one.line).node));
    fill(calm, wanted.filter((one) => one.calm).map((one) => shown.get(one.line).node));
    calmTitle.hidden = !calm.children.length;
    if (!wanted.length) list.append(el("p", {}, w("no_lines")));
    if (focused && document.activeElement?.dataset?.line !== focused) shown.get(focused)?.node.focus();
  }
  draw();
  // Drawn once a frame, however many messages came.
  let waiting = false;
  const stop = onChange(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; if (list.isConnected) draw(); });
  });
  const ticking = setInterval(() => {
    for (const { data, node } of shown.values()) {
      const text = timed(timer(data));
      const at = node.querySelector(".timer");
      if (at.textContent !== text) at.textContent = text;
      const quiet = silent(data) ? `${w("silent_for")} ${timed(silent(data))}` : "";
      const said = node.querySelector(".silent-for");
      if (said.textContent !== quiet) said.textContent = quiet;
      node.classList.toggle("silent", Boolean(quiet));
    }
  }, 1000);
  return () => {
    stop();
    clearInterval(ticking);
  };
}
