// One line over a span: the shift picker, the sentence, charts with a table beside each, rows that lead to their proof.
import { chart, el, table } from "./dom.js";
import { lines, onChange } from "./stream.js";
import { cause, timer } from "./tile.js";
import { address, clock, get, GROUP, lang, query, SIGN, timed, w } from "./words.js";

const KINDS = ["shift", "day", "week", "order", "span"];
const REFRESH_MS = 30000;

export function chosen() {
  const asked = query();
  const made = { line: asked.get("line") ?? "" };
  for (const kind of KINDS) if (asked.get(kind)) made[kind] = asked.get(kind);
  if (asked.get("as_of")) made.as_of = asked.get("as_of");
  return made;
}

// "2026-W48" of the date "2026-11-29", moved by days.
function isoWeek(date, days = 0) {
  const at = new Date(`${date}T12:00:00Z`);
  at.setUTCDate(at.getUTCDate() + days);
  at.setUTCDate(at.getUTCDate() + 4 - (at.getUTCDay() || 7)); // the week's Thursday says its year
  const year = at.getUTCFullYear();
  return `${year}-W${String(Math.ceil(((at - Date.UTC(year, 0, 1)) / 864e5 + 1) / 7)).padStart(2, "0")}`;
}

const turn = (parameters) => {
  history.pushState(null, "", address(parameters));
  dispatchEvent(new Event("taktwin"));
};

// The shift picker with its arrows; what has no row yet is the current one.
function picker(view) {
  const place = el("nav", { class: "picker", "aria-label": w(view.span.kind) });
  const to = (more) => ({ view: query().get("view"), line: view.line, ...more });
  const link = (text, more, rel) => el("a", { href: address(to(more)), rel }, text);
  const date = view.span.start_local.slice(0, 10);
  const weeks = [7, 0, -7, -14, -21, -28].map((days) => ({ label: isoWeek(date, days) }));
  get("spans", { line: view.line }).then((spans) => {
    const asked = view.span.kind;
    const kind = ["day", "order", "week"].includes(asked) ? asked : spans.shift.length ? "shift" : "day";
    const known = (kind === "week" ? weeks : spans[kind]).map((one) => one.label);
    if (spans.current && spans.current.kind === kind && !known.includes(spans.current.label)) known.unshift(spans.current.label);
    const at = known.indexOf(view.span.label);
    const list = el("select", { "aria-label": w(kind), on: { change: (event) => turn(to({ [kind]: event.target.value })) } },
      (at < 0 ? [view.span.label, ...known] : known).map((label) => el("option", { value: label, selected: label === view.span.label }, label)));
    place.append(
      at >= 0 && at + 1 < known.length ? link(`← ${w("previous")}`, { [kind]: known[at + 1] }, "prev") : "",
      list,
      at > 0 ? link(`${w("following")} →`, { [kind]: known[at - 1] }, "next") : "",
      link(w("current"), {}, "last"),
      ...["shift", "day", "order"].filter((one) => one !== kind && spans[one].length).map((one) =>
        // The one in which what is shown begins.
        link(w(`${one}s`), { [one]: (spans[one].find((each) => each.start <= view.span.start) ?? spans[one][0]).label })),
      kind === "week" ? "" : link(w("weeks"), { week: isoWeek(date) }));
  }, () => {});
  return place;
}

// As known now, or at an instant of the line's time: a switch, and a slider from the span's beginning on.
function knowing(view, parameters) {
  const { as_of, ...now } = parameters;
  const begin = Date.parse(view.span.start);
  const last = Math.max(begin + 60000, Date.parse(view.settled.known_until ?? view.span.end), Date.parse(view.settled.revisable_until ?? view.span.end));
  const shown = el("output", {});
  const at = el("input", { type: "range", min: String(begin), max: String(last), step: "60000", value: String(as_of ? Date.parse(as_of) : Math.min(last, Date.parse(view.span.end))), "aria-label": w("known_then") });
  const tell = () => { shown.textContent = clock(Number(at.value), view.zone); };
  at.addEventListener("input", tell);
  tell();
  const step = (minutes) => el("button", { type: "button", on: { click: () => { at.value = String(Number(at.value) + minutes * 60000); tell(); } } }, `${minutes < 0 ? "−" : "+"} ${Math.abs(minutes)} min`);
  // The time of day on the wall clock of the plant, on the day where the slider stands.
  const clockTime = el("input", { type: "time", "aria-label": w("time"), on: { change: (event) => {
    const [hour, minute] = clock(Number(at.value), view.zone, true).split(":");
    const [h, m] = event.target.value.split(":");
    if (m === undefined) return;
    at.value = String(Number(at.value) + ((h - hour) * 60 + (m - minute)) * 60000);
    tell();
  } } });
  const go = () => turn({ view: query().get("view"), ...now, as_of: new Date(Number(at.value)).toISOString() });
  const open = el("details", { class: "knowing", open: Boolean(as_of) }, el("summary", {}, w("known_then")),
    el("p", {}, at, " ", shown), el("p", {}, clockTime, [-60, -10, 10, 60].map(step), el("button", { type: "button", class: "go", on: { click: go } }, w("show"))));
  return el("div", { class: "links" }, as_of ? el("a", { href: address({ view: query().get("view"), ...now }) }, w("known_now")) : null, open);
}

export function head(view, parameters) {
  const asked = new URLSearchParams({ ...parameters, lang });
  return el("section", { class: "head" },
    el("h1", {}, view.line, el("span", { class: "soft" }, ` ${w(view.span.kind)} ${view.span.label}`)),
    el("p", { class: "now", "aria-live": "polite" }),
    picker(view),
    el("p", { class: "soft" }, `${view.span.start_local} – ${view.span.end_local}, ${view.zone}`),
    view.as_of ? el("p", { class: "warn" }, `${w("as_of")} ${clock(Date.parse(view.as_of), view.zone)}`) : null,
    knowing(view, parameters),
    el("p", { class: "links" },
      el("a", { href: address({ ...parameters, view: query().get("view") === "handover" ? "line" : "handover" }) }, w(query().get("view") === "handover" ? "line" : "handover")),
      el("a", { href: `api/v1/report?${asked}&format=html`, target: "_blank" }, w("report")),
      el("a", { href: `api/v1/report?${asked}&format=${lang === "de" ? "csv-de" : "csv"}&table=hours`, download: "hours.csv" }, "CSV"),
      [["xlsx", "Excel"], ["eml", w("mail")]].filter(([form]) => view.formats.includes(form)).map(([form, name]) =>
        el("a", { href: `api/v1/report?${asked}&format=${form}`, download: `report.${form}` }, name))));
}

// The row of the span itself, or, while it goes on, the sums of the rows that there are.
function whyLink(view) {
  const own = view.rows.find((row) => row.window === view.span.kind && row.end === view.span.end);
  const at = own ? { window: own.window, start: own.start, end: own.end } : { start: view.span.start, end: view.span.end };
  return view.as_of ? null : el("a", { class: "why", href: address({ ...chosen(), view: "why", line: view.line, ...at }) }, w("why"));
}

export function said(view) {
  return el("section", { class: "said" }, el("p", { class: "big" }, view.said.sentence),
    view.said.target ? el("p", { class: `pace ${view.total.plan_difference < 0 ? "behind" : ""}` }, view.said.target) : null,
    el("p", {}, view.said.ratios, el("span", { class: "soft" }, ` (${w(view.settled.final ? "settled" : "provisional")}) `), whyLink(view)),
    view.said.greatest.length ? el("div", { class: "greatest" }, el("p", {}, `${w("lost_most")}:`), el("ol", {}, view.said.greatest.map((text) => el("li", {}, text)))) : null,
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
      ` ${w(one.state)} `, el("time", { class: "timer", "aria-live": "off" }, timed(timer(one))), ` ${cause(one)} `,
      one.nothing_counted ? el("span", { class: "warn" }, w("nothing_counted")) : "",
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
  const texts = one.texts.map((text) => el("p", {}, text));
  const folded = rows && el("details", {}, el("summary", {}, `${w("figures_as_table")}${extra ? `, ${w("with_events")}` : ""}`), rows);
  return el("section", { id, class: one.charts.length ? "drawn" : null }, el("h2", {}, one.title), one.note ? el("p", { class: "soft" }, one.note) : null,
    ...(one.charts.length ? [...one.charts.map(chart), folded, ...texts] : [...texts, rows]));
}

// To each section: a page of a line is long.
function jumps(view) {
  const shown = view.sections.filter(({ id }) => id !== "charged");
  return el("nav", { class: "jumps counts", "aria-label": w("sections") }, shown.map((one) =>
    el("button", { type: "button", on: { click: () => document.getElementById(one.id)?.scrollIntoView() } }, one.title)));
}

function rowsOf(view, window) {
  const mine = view.rows.filter((row) => row.window === window);
  return (i) => el("a", { class: "why", href: address({ ...chosen(), view: "why", line: view.line, window, start: mine[i].start, end: mine[i].end }) }, w("why"));
}

// Waits as they were waited, or charged to the station that stood; by minutes or by count; of all stations or of one:
// the address says which. A row leads to the events of its longest stop.
function losses(view, parameters) {
  const asked = { losses: query().get("losses"), by: query().get("by"), station: query().get("station") };
  const link = (more, text, now) => el("a", { href: address({ view: "line", ...parameters, ...asked, ...more }), "aria-current": now ? "page" : null }, text);
  const cause = asked.losses === "cause";
  const rows = view.losses;
  const made = section(view, cause ? "charged" : "pareto", cause ? null : (i) => el("a", { class: "why", href: address({ ...chosen(), view: "why", line: view.line, station: rows[i].station, start: rows[i].start, end: rows[i].end }) }, w("events")));
  if (!made) return null;
  const stations = [...new Set(view.stations)];
  made.querySelector("h2").after(el("nav", { class: "counts", "aria-label": w("pareto") },
    link({ losses: null }, w("as_victims"), !cause), link({ losses: "cause" }, w("to_the_cause"), cause),
    link({ by: null }, w("by_minutes"), asked.by !== "count"), link({ by: "count" }, w("by_count"), asked.by === "count"),
    el("select", { "aria-label": w("station"), on: { change: (event) => turn({ view: "line", ...parameters, ...asked, station: event.target.value || null }) } },
      el("option", { value: "" }, w("all_stations")), stations.map((one) => el("option", { value: one, selected: one === asked.station }, one)))));
  made.id = "pareto";
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

// What has the keyboard keeps it when all is drawn anew.
const CONTROLS = "a, button, select, input, summary, .scroll";
function focusOf(main) {
  const one = document.activeElement;
  if (!one || !main.contains(one) || !one.matches(CONTROLS)) return null;
  const place = one.closest("section");
  return [place?.id ?? "", [...(place ?? main).querySelectorAll(CONTROLS)].indexOf(one)];
}

function focusAgain(main, focused) {
  if (!focused) return;
  const [id, at] = focused;
  const place = id ? document.getElementById(id) : main.querySelector("section");
  place?.querySelectorAll(CONTROLS)[at]?.focus({ preventScroll: true });
}

export function line(main) {
  const parameters = chosen();
  const live = livePart(main, parameters.line);
  let ended = false;
  async function draw() {
    const more = {};
    for (const name of ["by", "station"]) if (query().get(name)) more[name] = query().get(name);
    const view = await get("view", { ...parameters, ...more });
    if (ended) return;
    const focused = focusOf(main);
    const open = new Set([...main.querySelectorAll("details[open]")].map((one) => one.parentNode.id));
    main.replaceChildren(
      head(view, parameters), said(view), jumps(view),
      ...[
        ...view.sections.map(({ id }) => (id in OWN ? OWN[id](view, parameters) : section(view, id))),
        el("section", { id: "health" }, el("h2", {}, w("health")), el("ul", {}, view.said.health.map((text) => el("li", {}, text)))),
        el("section", { id: "proof" }, el("h2", {}, w("proof")), el("p", {}, `${w("recompute")}:`), view.proof.commands.map((one) => el("p", {}, el("code", {}, one)))),
      ].filter((one) => one));
    for (const one of main.querySelectorAll("details")) if (open.has(one.parentNode.id)) one.open = true;
    focusAgain(main, focused);
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
