// For people five metres away: an area or the worst eight, big letters, no mouse, pages that turn.
import { el } from "./dom.js";
import { lines, now, onChange } from "./stream.js";
import { oee, order, timer } from "./tile.js";
import { clock, GROUP, num, query, SIGN, w } from "./words.js";

export function wall(main) {
  document.body.classList.add("wall");
  const area = query().get("area");
  const each = Math.max(5, parseInt(query().get("rotate") ?? "15", 10) || 15);
  const most = Math.min(12, Math.max(1, parseInt(query().get("tiles") ?? "8", 10) || 8));
  const grid = el("section", { class: "wallgrid" });
  const foot = el("p", { class: "wallfoot" });
  main.append(grid, foot);
  let page = 0;

  function draw() {
    const all = [...lines.values()].filter((one) => !area || one.area === area).sort(order);
    const pages = area ? Math.max(1, Math.ceil(all.length / most)) : 1;
    page %= pages;
    grid.replaceChildren(...all.slice(page * most, page * most + most).map((one) => {
      const group = GROUP[one.state] ?? "unknown";
      return el("article", { class: `tile e-${group}`, "data-line": one.line },
        el("h3", {}, one.line),
        el("p", { class: "state" }, el("span", { class: `sign s-${group}`, "aria-hidden": "true" }, SIGN[one.state] ?? "?"), ` ${w(one.state)}`),
        el("p", { class: "timer" }, timer(one)),
        el("p", { class: one.shift?.behind ? "made behind" : "made" }, !one.shift ? w("not_measured") : one.shift.diff_text !== null ? `${num(one.shift.diff_text)} ${w("parts")}` : one.shift.lost_text !== null ? `−${num(one.shift.lost_text)} ${w("parts")}` : w("not_measured")),
        el("p", { class: "oee" }, `OEE ${oee(one, false)}`));
    }));
    const ages = all.map((one) => one.as_of_ms).filter((ms) => ms !== null);
    const zone = all.length ? all[0].zone : "UTC";
    foot.textContent = `${area ?? w("all_areas")} ${pages > 1 ? `${page + 1}/${pages} ` : ""}· ${clock(now(), zone)} · ${w("stand")} ${ages.length ? clock(Math.max(...ages), zone) : "–"}`;
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
  };
}
