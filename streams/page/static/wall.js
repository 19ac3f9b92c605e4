// For people five metres away: an area or the worst eight, big letters, no mouse, pages that turn.
import { el } from "./dom.js";
import { lines, now, onChange } from "./stream.js";
import { oee, order, silent, timer } from "./tile.js";
import { clock, GROUP, num, query, SIGN, timed, w } from "./words.js";

// Sixteen minutes of arc for a capital of 0.7 em, in hundredths of the width of a 16:9 screen: `distance` in m, `inch`.
const smallest = (distance, inch) => (30.03 * distance) / inch;
const WIDE = 8.3; // a tile in em, which holds "14:03:59" twice as large and "-12,345 parts"
const HIGH = 8.4; // with a name, or a word, of two lines
const number = (name, least, most, otherwise) => Math.min(most, Math.max(least, Number.parseFloat(query().get(name)) || otherwise));

// From ten minutes on no seconds: from five metres they would be too small, and "46:12" reads like a time of day.
function long(text) {
  const [h, min, s] = text.split(":");
  if (s === undefined && Number(h) >= 10) return el("p", { class: "timer" }, h, el("small", {}, " min"));
  return s === undefined ? el("p", { class: "timer" }, text) : el("p", { class: "timer" }, `${h}:${min}`, el("small", {}, " h"));
}

// As many columns as are needed and fit, and letters as large as the screen then allows, never too small to read.
export function layout(count, least, high) {
  const columns = Math.max(1, Math.floor(97 / (WIDE * least)));
  const rows = Math.max(1, Math.floor((high - 2.4 * least) / (HIGH * least)));
  let best = { columns, rows, em: least };
  for (let c = 1; c <= columns; c++) {
    const r = Math.ceil(Math.max(1, count) / c);
    const em = Math.min(97 / c / WIDE, high / (HIGH * r + 2.4));
    if (r <= rows && em > best.em) best = { columns: c, rows: r, em };
  }
  return best;
}

export function wall(main) {
  document.body.classList.add("wall");
  const area = query().get("area");
  const each = number("rotate", 5, 3600, 15);
  const least = smallest(number("distance", 0.5, 50, 5), number("inch", 5, 200, 55));
  const grid = el("section", { class: "wallgrid" });
  const foot = el("p", { class: "wallfoot" });
  const banner = document.getElementById("banner");
  banner.style.fontSize = `${least.toFixed(3)}vw`;
  main.append(grid, foot);
  let page = 0;
  let label = null;

  function draw() {
    const all = [...lines.values()].filter((one) => !area || one.area === area).sort(order);
    const high = (100 * innerHeight) / innerWidth;
    const fits = layout(12, least, high);
    const most = Math.min(number("tiles", 1, 12, 8), fits.columns * fits.rows);
    const pages = area ? Math.max(1, Math.ceil(all.length / most)) : 1;
    page %= pages;
    const at = layout(Math.min(most, all.length), least, high);
    main.style.setProperty("--em", `${at.em.toFixed(3)}vw`);
    main.style.setProperty("--least", `${least.toFixed(3)}vw`);
    main.style.setProperty("--columns", String(at.columns));
    renewed(all[0]);
    grid.replaceChildren(...all.slice(page * most, page * most + most).map((one) => {
      const group = GROUP[one.state] ?? "unknown";
      return el("article", { class: `tile e-${group} ${silent(one) ? "silent" : ""}`, "data-line": one.line },
        el("h3", {}, el("span", { class: `sign s-${group}`, "aria-hidden": "true" }, SIGN[one.state] ?? "?"), ` ${one.line}`),
        el("p", { class: "state" }, w(one.state)),
        long(timer(one)),
        el("p", { class: one.shift?.behind ? "made behind" : "made" }, !one.shift ? w(one.zone === null ? "reading" : "not_measured") : one.shift.diff_text !== null ? `${num(one.shift.diff_text)} ${w("parts")}` : one.shift.lost_text !== null ? `${num(one.shift.lost_text)} ${w("lost_short")}` : w("not_measured")),
        el("p", { class: "oee" }, silent(one) ? `${w("silent_for")} ${timed(silent(one))}` : one.cause_station ? `← ${one.cause_station}` : one.nothing_counted ? `! ${w("no_parts_counted")}` : one.calm ? "" : one.shift ? `OEE ${oee(one, false)}` : ""));
    }));
    const ages = all.map((one) => one.as_of_ms).filter((ms) => ms !== null);
    const zone = all.find((one) => one.zone !== null)?.zone;
    foot.textContent = !all.length ? w("reading") : `${area ?? w("all_areas")}, ${w("worst")} ${pages > 1 ? `${page + 1}/${pages} ` : ""}· ${clock(zone ? now() : null, zone, true)} · ${w("stand")} ${zone && ages.length ? clock(Math.max(...ages), zone, now() - Math.max(...ages) < 12 * 3600e3) : "–"}`;
  }

  // Weeks on end: with `reload=shift` the page is taken anew when a shift begins, if the server answers.
  function renewed(one) {
    const now = one?.shift?.label ?? null;
    if (query().get("reload") === "shift" && label !== null && now !== null && now !== label)
      fetch(location.href, { method: "GET", cache: "no-store" }).then((answer) => { if (answer.ok) location.reload(); }, () => {});
    label = now ?? label;
  }
  draw();
  const stop = onChange(draw);
  const ticking = setInterval(draw, 1000);
  const turning = setInterval(() => page++, each * 1000);
  return () => {
    stop();
    clearInterval(ticking);
    clearInterval(turning);
    document.body.classList.remove("wall");
    banner.style.fontSize = "";
  };
}
