// A line as a tile: on the plant's page, and larger on the wall.
import { el } from "./dom.js";
import { heardNow, now } from "./stream.js";
import { address, alertSaid, clock, GROUP, num, orderSaid, SIGN, span, timed, w } from "./words.js";

// A line that stands has no OEE and loses all, once it has stood for long; planned, off and without an order come last.
export function order(a, b) {
  if (a.calm !== b.calm) return a.calm ? 1 : -1;
  const lost = (one) => one.urgency ?? (one.state === "running" ? -1 : Infinity);
  // Of those that lose as much the one that has stood longest.
  return lost(b) - lost(a) || (a.since_ms ?? Infinity) - (b.since_ms ?? Infinity) || (a.line < b.line ? -1 : 1);
}

// Of a live line how long nothing has been heard of it: its sources, the network or a worker are silent.
const SILENT_MS = 120000;
export function silent(one) {
  const age = one.live && one.as_of_ms !== null ? now() - one.as_of_ms : 0;
  return age > SILENT_MS ? span(age) : null;
}

// How long in this state: with the clock while news come, of a silent line or an old log as of the last news.
export function timer(one) {
  if (one.since_ms === null) return "";
  return span((one.live && !silent(one) ? heardNow() : one.as_of_ms) - one.since_ms);
}

// Of a line that waits the station that makes it wait.
export const cause = (one) => (one.cause_station ? `← ${one.cause_station}: ${w(one.cause_state)}` : "");

export function marks(one) {
  const found = [];
  if (one.alerts.length) found.push([`! ${w(`alert_${one.alerts[0].kind}`)}${one.alerts.length > 1 ? ` +${one.alerts.length - 1}` : ""}`, one.alerts.map(alertSaid).join(", ")]);
  if (one.nothing_counted) found.push([`! ${w("no_parts_counted")}`, w("nothing_counted")]);
  if (one.shift && one.shift.suspect) found.push(["> 100 %", w("suspect")]);
  if (one.shift && one.shift.unknown_ns > 0) found.push(["?", w("unknown_share")]);
  return found;
}

export function oee(one, target = true) {
  const shift = one.shift;
  if (!shift) return w(one.zone === null ? "reading" : "not_measured");
  if (shift.oee === null) return w(!shift.planned_ns ? "nothing_planned" : shift.no_ideal ? "no_ideal_short" : "nothing_made");
  return `~${num(shift.oee_text)} %${target && shift.target_text ? ` (${w("target")} ${num(shift.target_text)} %)` : ""}`;
}

// Ahead or behind the target in parts; without a target what ideal speed would have made beyond.
export function difference(one) {
  const shift = one.shift;
  if (!shift) return one.zone === null ? "" : w("not_measured");
  if (shift.diff_text !== null) return `${num(shift.diff_text.replace(/^[+-]/, ""))} ${w("parts")} ${w(shift.behind ? "behind_plan" : "ahead_of_plan")}`;
  return shift.lost_text !== null ? `${num(shift.lost_text)} ${w("lost_parts")}` : w("not_measured");
}

// OEE against its target, and the three factors as thin bars: shapes beside the figures, no verdict without a target.
function bars(shift) {
  if (!shift || shift.oee === null) return null;
  const bar = (value, kind) => {
    const made = el("span", { class: `bar ${kind}` });
    made.style.setProperty("--value", `${Math.min(100, Math.max(0, 100 * value)).toFixed(1)}%`);
    return made;
  };
  const bullet = bar(shift.oee, "bullet");
  if (shift.target_oee !== null) {
    const mark = el("span", { class: "goal" });
    mark.style.setProperty("--value", `${(100 * shift.target_oee).toFixed(1)}%`);
    bullet.append(mark);
  }
  const names = [["availability", "availability"], ["performance", "performance"], ["quality", "quality_ratio"]];
  const said = names.map(([key, name]) => `${w(name)} ${Math.round(100 * shift[key])} %`).join(", ");
  return el("p", { class: "bars", role: "img", "aria-label": said, title: said }, bullet, names.map(([key]) => bar(shift[key], "thin")));
}

export function tile(one) {
  const group = GROUP[one.state] ?? "unknown";
  const verdict = one.verdict === "undecided" ? w("undecided") : one.verdict;
  const shift = one.shift;
  const made = el("a", { class: `tile e-${group}`, href: address({ view: "line", line: one.line }), "data-line": one.line });
  made.append(...[
    el("h3", {}, one.line),
    el("p", { class: "state" }, el("span", { class: `sign s-${group}`, "aria-hidden": "true" }, SIGN[one.state] ?? "?"),
      ` ${w(one.state)} `, el("time", { class: "timer" }, timed(timer(one)))),
    el("p", { class: "cause" }, cause(one)),
    one.zone === null ? null : el("p", { class: "made" }, el("b", {}, shift ? num(shift.good_text) : "–"), ` ${w("made_good")}`),
    el("p", { class: shift?.behind ? "lost behind" : "lost" }, difference(one), shift ? el("span", { class: "soft shiftname" }, ` (${shift.label})`) : null),
    el("p", { class: "oee" }, `OEE ${oee(one)}`, one.shift && one.shift.oee !== null ? el("span", { class: "soft" }, ` ${w("provisional")}`) : null),
    bars(shift),
    el("p", { class: "silent-for" }, silent(one) ? `${w("silent_for")} ${timed(silent(one))}` : ""),
    one.live ? null : el("p", { class: "soft" }, `${w("stand")} ${clock(one.as_of_ms, one.zone)}`),
    el("p", { class: "soft order" }, one.order ? orderSaid(one) : "", verdict ? ` · ${w("bottleneck")}: ${verdict}` : ""),
    el("p", { class: "strip", role: "img", "aria-label": one.stations.map((s) => `${s.station} ${w(s.state)}`).join(", ") },
      one.stations.map((s) => el("span", { class: `cell s-${GROUP[s.state] ?? "unknown"}`, title: `${s.station}: ${w(s.state)}` }, SIGN[s.state] ?? "?"))),
    el("p", { class: "marks" }, marks(one).map(([text, title]) => el("span", { title }, text))),
  ].filter((node) => node));
  return made;
}

// What may change in a tile that stays: states of stations come twice a second, the rest seldom.
const QUICK = ["stations", "state", "since_ms", "as_of_ms", "heard_ms", "lost_per_hour", "urgency", "lost_text", "calm", "changed"];

// The tile of what the line is now: the same node where only states have changed.
export function renewed(node, before, one) {
  for (const key of Object.keys(one)) if (!QUICK.includes(key) && one[key] !== before[key]) return tile(one);
  if (one.stations.length !== before.stations.length || !one.live) return tile(one);
  if (one.state !== before.state) {
    const group = GROUP[one.state] ?? "unknown";
    node.className = `tile e-${group}`;
    const [sign, word] = node.querySelector(".state").childNodes;
    sign.className = `sign s-${group}`;
    sign.textContent = SIGN[one.state] ?? "?";
    word.textContent = ` ${w(one.state)} `;
  }
  const strip = node.querySelector(".strip");
  let moved = false;
  for (const [i, s] of one.stations.entries()) {
    if (s.state === before.stations[i].state) continue;
    moved = true;
    const cell = strip.children[i];
    cell.className = `cell s-${GROUP[s.state] ?? "unknown"}`;
    cell.firstChild.data = SIGN[s.state] ?? "?";
    cell.title = `${s.station}: ${w(s.state)}`;
  }
  if (moved) strip.setAttribute("aria-label", one.stations.map((s) => `${s.station} ${w(s.state)}`).join(", "));
  return node;
}
