// One line over a span: the shift picker, the sentence, charts with a table beside each, rows that lead to their proof.
import { chart, el, table } from "./dom.js";
import { lines, onChange } from "./stream.js";
import { timer } from "./tile.js";
import { address, get, GROUP, lang, query, SIGN, w } from "./words.js";

const KINDS = ["shift", "day", "week", "order", "span"];
const REFRESH_MS = 30000;

export function chosen() {
  const asked = query();
  const made = { line: asked.get("line") ?? "" };
  for (const kind of KINDS) if (asked.get(kind)) made[kind] = asked.get(kind);
  if (asked.get("as_of")) made.as_of = asked.get("as_of");
  return made;
}

export function head(view, parameters) {
  const place = el("nav", { class: "picker", "aria-label": w(view.span.kind) });
  const link = (text, more, rel) => el("a", { href: address({ view: query().get("view"), line: view.line, ...more }), rel }, text);
  get("spans", { line: view.line }).then((spans) => {
    const kind = ["day", "order"].includes(view.span.kind) ? view.span.kind : spans.shift.length ? "shift" : "day";
    const known = spans[kind].map((one) => one.label);
    if (spans.current && spans.current.kind === kind && !known.includes(spans.current.label)) known.unshift(spans.current.label);
    const at = known.indexOf(view.span.label);
    const list = el("select", { "aria-label": w(kind), on: { change: (event) => go(event.target.value) } },
      (at < 0 ? [view.span.label, ...known] : known).map((label) => el("option", { value: label, selected: label === view.span.label }, label)));
    const go = (label) => {
      history.pushState(null, "", address({ view: query().get("view"), line: view.line, [kind]: label }));
      dispatchEvent(new Event("taktwin"));
    };
    place.append(
      at >= 0 && at + 1 < known.length ? link(`← ${w("previous")}`, { [kind]: known[at + 1] }, "prev") : "",
      list,
      at > 0 ? link(`${w("following")} →`, { [kind]: known[at - 1] }, "next") : "",
      link(w("current"), {}, "last"),
      ...["shift", "day", "order"].filter((one) => one !== kind && spans[one].length).map((one) => link(w(one === "shift" ? "shifts" : one === "day" ? "days" : "orders"), { [one]: spans[one][0].label })));
  }, () => {});
  const asked = new URLSearchParams({ ...parameters, lang });
  return el("section", { class: "head" },
    el("h1", {}, view.line, el("span", { class: "soft" }, ` ${w(view.span.kind)} ${view.span.label}`)),
    el("p", { class: "now", "aria-live": "polite" }),
    place,
    el("p", { class: "soft" }, `${view.span.start_local} – ${view.span.end_local}, ${view.zone}`),
    view.as_of ? el("p", { class: "warn" }, `${w("as_of")} ${view.as_of}`) : null,
    el("p", { class: "links" },
      el("a", { href: address({ ...parameters, view: query().get("view") === "handover" ? "line" : "handover" }) }, w(query().get("view") === "handover" ? "line" : "handover")),
      el("a", { href: `api/v1/report?${asked}&format=html`, target: "_blank" }, w("report")),
      el("a", { href: `api/v1/report?${asked}&format=${lang === "de" ? "csv-de" : "csv"}&table=hours`, download: "hours.csv" }, "CSV"),
      [["xlsx", "Excel"], ["eml", w("mail")]].filter(([form]) => view.formats.includes(form)).map(([form, name]) =>
        el("a", { href: `api/v1/report?${asked}&format=${form}`, download: `report.${form}` }, name))));
}

export function said(view) {
  return el("section", { class: "said" }, el("p", { class: "big" }, view.said.sentence),
    view.said.target ? el("p", { class: `pace ${view.total.plan_difference < 0 ? "behind" : ""}` }, view.said.target) : null,
    el("p", {}, view.said.ratios, el("span", { class: "soft" }, ` (${w(view.settled.final ? "settled" : "provisional")})`)),
    view.said.doubts.map((text) => el("p", { class: "warn" }, text)),
    el("p", {}, view.said.bottleneck));
}

// The live part of the head: what the line does at this moment.
export function livePart(main, line) {
  const draw = () => {
    const one = lines.get(line);
    const place = main.querySelector(".now");
    if (!place || !one) return;
    const group = GROUP[one.state] ?? "unknown";
    place.replaceChildren(el("span", { class: `sign s-${group}`, "aria-hidden": "true" }, SIGN[one.state] ?? "?"),
      ` ${w(one.state)} `, el("time", { class: "timer", "aria-live": "off" }, timer(one)), " ",
      ...one.stations.map((s) => el("span", { class: `cell s-${GROUP[s.state] ?? "unknown"}`, title: `${s.station}: ${w(s.state)}` }, s.station)));
  };
  const stop = onChange(draw);
  const ticking = setInterval(draw, 1000);
  return { draw, stop: () => { stop(); clearInterval(ticking); } };
}

// A section as the server lists it (twin/report/sections.py): title, note, charts with the table folded beside, sentences.
function section(view, id, extra) {
  const one = view.sections.find((each) => each.id === id);
  if (!one) return null;
  const data = view.tables[id];
  const rows = data ? table(data, extra) : null;
  return el("section", { id, class: one.charts.length ? "drawn" : null }, el("h2", {}, one.title), one.note ? el("p", { class: "soft" }, one.note) : null,
    one.charts.map(chart),
    rows && one.charts.length ? el("details", {}, el("summary", {}, w("figures_as_table")), rows) : rows,
    one.texts.map((text) => el("p", {}, text)));
}

function rowsOf(view, window) {
  const mine = view.rows.filter((row) => row.window === window);
  return (i) => el("a", { class: "why", href: address({ view: "why", line: view.line, window, start: mine[i].start, end: mine[i].end }) }, w("why"));
}

// Waits as they were waited, or charged to the station that stood: the address says which.
function losses(view, parameters) {
  const cause = query().get("losses") === "cause";
  const link = (which, text) => el("a", { href: address({ view: "line", ...parameters, losses: which }), "aria-current": (which === "cause") === cause ? "page" : null }, text);
  const made = section(view, cause ? "charged" : "pareto");
  made?.querySelector("h2").after(el("nav", { class: "counts", "aria-label": w("pareto") }, link(null, w("as_victims")), link("cause", w("to_the_cause"))));
  if (made) made.id = "pareto";
  return made;
}

// Sections of which the page has something of its own; all others are drawn as they come.
const OWN = {
  pareto: losses,
  charged: () => null, // stands in the place of the losses, where the address asks for it
  shifts: (view) => section(view, "shifts", rowsOf(view, "shift")),
  days: (view) => section(view, "days", rowsOf(view, "day")),
  orders: (view) => section(view, "orders", rowsOf(view, "order")),
};

export function line(main) {
  const parameters = chosen();
  const live = livePart(main, parameters.line);
  let ended = false;
  async function draw() {
    const view = await get("view", parameters);
    if (ended) return;
    const open = new Set([...main.querySelectorAll("details[open]")].map((one) => one.parentNode.id));
    main.replaceChildren(
      head(view, parameters), said(view),
      ...[
        ...view.sections.map(({ id }) => (id in OWN ? OWN[id](view, parameters) : section(view, id))),
        el("section", { id: "health" }, el("h2", {}, w("health")), el("ul", {}, view.said.health.map((text) => el("li", {}, text)))),
        el("section", { id: "proof" }, el("h2", {}, w("proof")), view.proof.commands.map((one) => el("p", {}, el("code", {}, one)))),
      ].filter((one) => one));
    for (const one of main.querySelectorAll("details")) if (open.has(one.parentNode.id)) one.open = true;
    live.draw();
    document.title = `${view.line} – taktwin`;
  }
  const shown = draw();
  const refreshing = setInterval(() => draw().catch(() => {}), REFRESH_MS);
  const stop = () => {
    ended = true;
    live.stop();
    clearInterval(refreshing);
  };
  return [stop, shown];
}
