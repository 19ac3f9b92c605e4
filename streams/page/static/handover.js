// What the next shift must know, on one sheet of A4.
import { el, table } from "./dom.js";
import { chosen, head, livePart, said } from "./line.js";
import { lines } from "./stream.js";
import { alertSaid, clock, get, lasting, orderSaid, w } from "./words.js";

const only = (data, keys) => {
  const kept = data.columns.map((one, i) => (keys.includes(one.key) ? i : -1)).filter((i) => i >= 0);
  return { ...data, columns: kept.map((i) => data.columns[i]), rows: data.rows.map((row) => kept.map((i) => row[i])) };
};

export function handover(main) {
  const parameters = chosen();
  const live = livePart(main, parameters.line);
  const shown = get("view", parameters).then((view) => {
    const one = lines.get(view.line);
    const five = only({ ...view.tables.lost, rows: view.tables.lost.rows.slice(0, 5) }, ["station", "class", "reason", "parts", "ns", "goes_on"]);
    const open = [
      ...(one?.stations ?? []).filter((s) => s.state !== "running").map((s) => `${s.station}: ${w(s.state)}${s.since_ms === null ? "" : ` ${w("since")} ${clock(s.since_ms, view.zone, true)}`}`),
      ...(view.health.down_without_reason_ns ? [`${w("stops_open")}: ${lasting(view.health.down_without_reason_ns)}`] : []),
      ...(one?.order ? [orderSaid(one)] : []),
      ...(one?.alerts ?? []).map(alertSaid),
      ...view.tables.refused.rows.slice(0, 3).map((row) => `${w("refused")}: ${row.join(" ")}`),
      ...view.said.doubts,
    ];
    const part = (name, data) => data.rows.length ? el("section", {}, el("h2", {}, name), table(data)) : null;
    main.replaceChildren(...[
      head(view, parameters), said(view), part(w("five_losses"), five), part(w("orders"), only(view.tables.orders, ["order", "product", "start", "end", "good", "scrap", "oee"])),
      el("section", {}, el("h2", {}, w("open")), el("ul", {}, (open.length ? open : [w("none")]).map((text) => el("li", {}, text)))),
      el("section", {}, el("h2", {}, w("remarks")), el("div", { class: "box" })),
    ].filter((one) => one));
    live.draw();
  });
  shown.catch(live.stop);
  return [live.stop, shown];
}
