// A tablet at a line: what stands, since when, and two taps to say why. It never blocks, and a stop that can no longer
// be corrected cannot be tapped.
import { el } from "./dom.js";
import { pace } from "./pace.js";
import { blocked, dismiss, enter, flush, onQueue, refused, waiting } from "./queue.js";
import { lines, now, onChange } from "./stream.js";
import { address, clock, done, get, GROUP, lasting, query, SIGN, span, timed, w } from "./words.js";

const REFRESH_MS = 5000;

export function operator(main) {
  const line = query().get("line");
  if (!line) return choose(main);
  const head = el("section", { class: "op-head" });
  const left = el("section", { class: "op-left" });
  const right = el("section", { class: "op-right" });
  const panel = el("dialog", { class: "op-panel" });
  main.append(head, el("div", { class: "op" }, left, right), panel);
  let device = null;
  let data = null;
  let entries = [];
  let ended = false;
  const marked = new Set(); // starts of stops that get one reason together

  const mine = () => Boolean(device?.enter && (device.lines === null || device.lines.includes(line)));
  const label = (id) => data.reasons.labels[id] ?? id;
  const local = (ms) => clock(ms, data.zone, true);
  const lasted = (one) => span(one.ns === null ? now() - one.start_ms : one.ns / 1e6);

  function say(part, reason, more) {
    enter({ verb: "reason", line, station: data.station, start: part.start, end: part.end, reason, ...more });
  }

  // What may be said beside a reason: the station that caused it, and a note, of which the log gets the hash only.
  function beside() {
    const note = el("input", { type: "text", maxlength: "500", autocomplete: "off", class: "note", "aria-label": w("note") });
    const cause = el("select", { "aria-label": w("cause") }, el("option", { value: "" }, `${w("cause")} …`),
      data.stations.filter((one) => one !== data.station).map((one) => el("option", { value: one }, one)));
    const node = el("details", { class: "op-split op-beside" }, el("summary", {}, w("note_and_cause")),
      el("p", {}, note, cause), el("p", { class: "soft" }, w("note_hint")));
    return { node, said: () => ({ ...(note.value.trim() ? { note: note.value.trim() } : {}), ...(cause.value ? { cause: cause.value } : {}) }) };
  }

  // Two by four: six reasons that stay for the shift, all of them, later.
  function ask(title, note, given, take, more) {
    const also = beside();
    const button = (one) => el("button", { type: "button", class: "reason", "aria-pressed": given === one.id ? "true" : null,
      on: { click: () => { panel.close(); take(one.id, also.said()); } } }, one.label);
    const rest = el("div", { class: "op-all", hidden: true });
    const big = el("div", { class: "op-six" }, data.reasons.buttons.map(button),
      el("button", { type: "button", class: "reason plain", on: { click: () => { rest.hidden = false; big.hidden = true; } } }, w("all_reasons")),
      el("button", { type: "button", class: "reason plain", on: { click: () => panel.close() } }, w("later")));
    const uppers = data.reasons.all.filter((one) => one.upper);
    const groups = [...uppers.map((upper) => [upper.label, data.reasons.all.filter((one) => one.parent === upper.id)]),
      ["", data.reasons.all.filter((one) => !one.upper && !one.parent)]];
    for (const [name, some] of groups) if (some.length) rest.append(name ? el("h3", {}, name) : "", el("div", { class: "op-six" }, some.map(button)));
    rest.append(el("button", { type: "button", class: "reason plain", on: { click: () => panel.close() } }, w("later")));
    panel.replaceChildren(el("h2", {}, title), el("p", { class: "until" }, note), also.node, big, rest, more ?? "");
    panel.showModal();
  }

  function askStop(stop, part) {
    const until = `${w("correctable_until")} ${stop.until_local}`;
    ask(`${stop.start_local ?? w("stopped")}, ${lasted(stop)}`, until, part.reason, (reason, more) => say(part, reason, more), split(stop, part));
  }

  // From an instant on another reason: a time within the stop, and what holds from then (and before, if nothing was said).
  function split(stop, part) {
    const open = el("details", { class: "op-split" }, el("summary", {}, w("split")));
    const begin = part.start_ms;
    const end = part.ns === null ? now() : begin + part.ns / 1e6;
    const at = el("input", { type: "range", min: "1", max: String(Math.max(2, Math.floor((end - begin) / 1000) - 1)), value: String(Math.max(1, Math.floor((end - begin) / 2000))), "aria-label": w("split_at") });
    const shown = el("output", {});
    const draw = () => { shown.textContent = `${local(begin)} – ${local(begin + at.value * 1000)} – ${local(end)}`; };
    at.addEventListener("input", draw);
    const list = (name) => el("select", { "aria-label": name }, el("option", { value: "" }, `${name} …`),
      data.reasons.all.filter((one) => !one.upper).map((one) => el("option", { value: one.id }, one.label)));
    const first = part.reason === null ? list(w("split_first")) : null;
    const then = list(w("split_then"));
    const named = (by) => (Math.abs(by) < 60 ? `${Math.abs(by)} s` : `${Math.abs(by) / 60} min`);
    const step = (by) => el("button", { type: "button", on: { click: () => { at.value = String(Number(at.value) + by); draw(); } } }, `${by < 0 ? "−" : "+"} ${named(by)}`);
    const steps = end - begin > 600000 ? [-300, -60, -10, 10, 60, 300] : [-60, -10, 10, 60];
    const go = el("button", { type: "button", class: "go", on: { click: () => {
      const missing = [first, then].find((one) => one && !one.value);
      if (missing) {
        told.textContent = w("split_missing");
        return missing.focus();
      }
      panel.close();
      const ns = part.start.match(/\.(\d{9})Z$/)?.[1] ?? "000000000";
      const instant = new Date(begin + at.value * 1000).toISOString().replace(/\.\d+Z$/, `.${ns}Z`);
      enter({ verb: "split", line, station: data.station, start: part.start, end: part.end, at: instant, reason: then.value, first: first ? first.value : "" });
      return undefined;
    } } }, w("split_do"));
    const told = el("p", { class: "warn", role: "status" });
    draw();
    open.append(told, el("p", {}, shown), el("p", {}, steps.filter((by) => by < 0).map(step), at, steps.filter((by) => by > 0).map(step)), el("p", {}, first, then, go));
    // Below the buttons it opens under the edge of a tablet.
    open.addEventListener("toggle", () => open.open && open.scrollIntoView({ block: "end" }));
    return open;
  }

  // What was said of a part and its row does not show yet, and nobody has undone.
  function pending(start, ...verbs) {
    const undone = new Set([...entries, ...waiting()].filter((one) => one.verb === "undo").map((one) => one.of));
    const said = (one) => verbs.includes(one.verb) && one.station === data.station && one.start === start;
    return waiting().findLast(said) ?? entries.find((one) => said(one) && ["waiting", "sent"].includes(one.state) && !undone.has(one.seq));
  }
  // The tap shows at once; of a split or an undo, it would be entered twice.
  const onItsWay = (start) => pending(start, "reason")?.reason ?? null;
  function happening(part) {
    const verb = pending(part.start, "split", "undo")?.verb;
    return verb ? ` · ${w(verb === "split" ? "being_split" : "being_undone")}` : "";
  }

  function stopRow(stop, several = false) {
    const can = mine() && stop.correctable && data.revise;
    const state = waiting().some((one) => one.start === stop.start) ? w("waiting_to_send") : null;
    const coming = (part) => onItsWay(part.start);
    const bare = stop.parts.filter((part) => part.reason === null);
    const mark = can && bare.length && several ? el("button", { type: "button", class: "mark", "data-mark": stop.start, "aria-pressed": String(marked.has(stop.start)),
      "aria-label": `${w("mark")} ${stop.start_local}`, on: { click: () => { if (!marked.delete(stop.start)) marked.add(stop.start); drawRight(); } } }, marked.has(stop.start) ? "✓" : el("span", {}, w("mark"))) : null;
    const parts = stop.parts.map((part) => el("button", {
      type: "button", class: `stop ${part.reason === null && !coming(part) ? "bare" : ""}`, disabled: !can, "data-start": part.start,
      on: { click: () => askStop(stop, part) },
    }, el("span", {}, stop.start_local && part === stop.parts[0] ? stop.start_local : local(part.start_ms)),
      el("b", {}, coming(part) ? `${label(coming(part))} …` : part.reason === null ? w("no_reason") : label(part.reason), happening(part)),
      el("span", {}, part.ns === null ? w("open_stop") : timed(span(part.ns / 1e6)))));
    const until = stop.until === null ? w("no_revise_short") : stop.correctable ? `${w("correctable_until")} ${stop.until_local}` : `${w("too_late")} ${stop.until_local}`;
    return el("li", {}, mark ? el("div", { class: "markable" }, el("div", {}, parts), mark) : parts, el("p", { class: "soft" }, until, state ? ` · ${state}` : "", stop.revision ? ` · ${w("revision")} ${stop.revision}` : ""));
  }

  function bundleRow(bundle) {
    const take = (reason, more) => { for (const one of bundle.stops) say(one, reason, more); };
    return el("li", {}, el("button", { type: "button", class: "stop", disabled: !mine(), "data-hour": bundle.hour, on: { click: () =>
      ask(`${bundle.hour}: ${bundle.count} × ${w("minor_stops_of")}`, `${w("correctable_until")} ${bundle.until_local}`, null, take) } },
    el("span", {}, bundle.hour), el("b", {}, `${bundle.count} × ${w("minor_stops_of")}`), el("span", {}, lasting(bundle.ns))));
  }

  // One reason for all stops that are marked: for each of their parts that has none.
  function markedRow(stops) {
    const mine = stops.filter((stop) => marked.has(stop.start));
    const until = mine.map((stop) => [stop.until, stop.until_local]).sort()[0]?.[1];
    const take = (reason, more) => {
      for (const stop of mine) for (const part of stop.parts) if (part.reason === null) say(part, reason, more);
      marked.clear();
      drawRight();
    };
    return mine.length ? el("button", { type: "button", class: "stop together", "data-mark": "all", on: { click: () => ask(`${mine.length} × ${w("stopped")}`, `${w("correctable_until")} ${until}`, null, take) } },
      el("b", {}, `${mine.length} × ${w("together")}`)) : null;
  }

  function entryRow(one, undone) {
    const of = one.start ? `${local(Date.parse(one.start)).slice(0, 5)} ` : "";
    const what = one.verb === "undo" ? `${w("undo")}` : `${one.verb === "split" ? `${w("split")}: ` : ""}${label(one.reason)}`;
    const state = { waiting: w("waiting_to_send"), sent: `${w("entry_sent")} ${one.partition}/${one.offset}`, seen: `${w("entry_seen")} ${one.revision}`, refused: `${w("refused")}: ${one.why}` }[one.state];
    const button = one.verb !== "undo" && !undone.has(one.seq) && ["sent", "seen"].includes(one.state) && mine()
      ? el("button", { type: "button", class: "undo", "data-seq": String(one.seq), on: { click: () => enter({ verb: "undo", line, station: one.station, start: one.start, of: one.seq }) } }, w("undo")) : null;
    return el("li", { "data-state": one.state }, el("b", {}, of, what), ` ${undone.has(one.seq) ? `(${w("undone")}) ` : ""}`, el("span", { class: "soft" }, undone.has(one.seq) ? "" : state), " ", button);
  }

  function drawHead() {
    head.replaceChildren(el("h1", {}, `${line} `, el("span", { class: "soft" }, data.station)),
      el("nav", { class: "picker", "aria-label": w("stations") }, data.stations.map((one) =>
        el("a", { href: address({ view: "operator", line, station: one }), "aria-current": one === data.station ? "page" : null }, one))),
      device?.enter ? el("p", { class: "soft" }, `${w("device")} ${device.id}`, " ", el("a", { href: address({ view: "device" }) }, w("change")))
        : el("p", { class: "warn" }, device?.entering ? [`${w("look_only")} `, el("a", { href: address({ view: "device", line }) }, w("device_know"))] : w("no_entering")));
  }

  function drawLeft() {
    const one = lines.get(line);
    const state = one?.stations.find((each) => each.station === data.station)?.state ?? data.state;
    const group = GROUP[state] ?? "unknown";
    const open = data.stops.find((stop) => stop.end === null);
    const since = open?.start_ms ?? one?.stations.find((each) => each.station === data.station)?.since_ms ?? null;
    left.replaceChildren(...[
      el("p", { class: "op-state" }, el("span", { class: `sign s-${group}`, "aria-hidden": "true" }, SIGN[state] ?? "?"), ` ${w(state)}`),
      el("p", { class: "timer op-timer", "aria-live": "off" }, since === null ? "" : span(now() - since)),
      pace(one),
      one?.order ? el("p", {}, `${w("order")} ${one.order}`) : null,
      one?.order && done(one) ? el("p", {}, `${w("order_end")} ${done(one).slice(1)}`)
        : one?.order ? el("p", { class: "soft" }, w(one.order_rest === null ? "no_quantity" : "no_pace")) : null,
    ].filter((one) => one));
  }

  function drawRight() {
    const undone = new Set(entries.filter((one) => one.verb === "undo" && one.state !== "refused").map((one) => one.of));
    const kept = document.activeElement?.dataset ?? {};
    const open = data.stops.filter((stop) => stop.parts.some((part) => part.reason === null));
    const bare = open.filter((stop) => stop.parts.some((part) => part.reason === null && !onItsWay(part.start)));
    const bare_ns = bare.reduce((sum, stop) => sum + (stop.ns ?? 0), 0);
    const done = data.stops.filter((stop) => !open.includes(stop)).slice(0, 6);
    const there = new Set(entries.map((one) => one.seq));
    const queue = waiting().filter((one) => !there.has(one.seq));
    right.replaceChildren(...[
      el("h2", {}, `${w("stops_without_reason")}: ${bare.length} `, el("span", { class: "soft" }, lasting(bare_ns))),
      markedRow(open),
      open.length ? el("ul", { class: "op-list", id: "open-stops" }, open.map((one) => stopRow(one, open.length > 1))) : el("p", { class: "soft" }, w("none")),
      data.bundles.length ? el("h2", {}, w("minor_bundles")) : null,
      data.bundles.length ? el("ul", { class: "op-list", id: "bundles" }, data.bundles.map(bundleRow)) : null,
      done.length ? el("h2", {}, w("stops_with_reason")) : null,
      done.length ? el("ul", { class: "op-list", id: "done-stops" }, done.map((one) => stopRow(one))) : null,
      queue.length || entries.length || refused().length ? el("h2", {}, w("entered")) : null,
      el("p", { class: "warn", hidden: !queue.length || blocked === null }, `${w("waiting_to_send")}: ${blocked ?? ""}`),
      el("ul", { class: "op-entries", "aria-live": "polite" },
        queue.map((one) => entryRow({ ...one, state: "waiting" }, undone)),
        refused().filter((one) => one.line === line).map((one) => el("li", { "data-state": "refused" }, el("b", {}, one.verb === "undo" ? w("undo") : label(one.reason)), ` ${w("refused")}: ${one.why} `,
          el("button", { type: "button", class: "undo", on: { click: () => dismiss(one.seq) } }, "×"))),
        entries.slice(0, 8).map((one) => entryRow(one, undone))),
    ].filter((one) => one));
    for (const name of ["start", "mark", "hour", "seq"])
      if (kept[name]) right.querySelector(`[data-${name}="${CSS.escape(kept[name])}"]`)?.focus();
  }

  async function load() {
    const parameters = { line };
    if (query().get("station")) parameters.station = query().get("station");
    const [about, found, listed] = await Promise.all([get("device"), get("stops", parameters), get("entries", { line })]);
    if (ended) return;
    [device, data, entries] = [about, found, listed.entries];
    drawHead();
    drawLeft();
    drawRight();
  }
  const shown = load();
  const refreshing = setInterval(() => load().catch(() => {}), REFRESH_MS);
  const ticking = setInterval(() => data && drawLeft(), 1000);
  let queued = waiting().length;
  const stopQueue = onQueue(() => {
    const before = queued;
    queued = waiting().length;
    if (data) drawRight();
    if (queued < before) load().catch(() => {});
  });
  const stop = onChange(() => data && drawLeft());
  flush();
  return [() => {
    ended = true;
    panel.close();
    stop();
    stopQueue();
    clearInterval(refreshing);
    clearInterval(ticking);
  }, shown];
}

function choose(main) {
  const list = el("nav", { class: "counts op-lines", "aria-label": w("line") });
  main.append(el("h1", {}, w("operator")), list);
  const draw = () => list.replaceChildren(...[...lines.keys()].sort().map((one) => el("a", { href: address({ view: "operator", line: one }) }, one)));
  draw();
  return onChange(draw);
}

// The token of this device is typed once; a cookie has it from then on that no script can read.
export function deviceView(main) {
  const shown = get("device").then((about) => {
    const token = el("input", { type: "password", autocomplete: "off", "aria-label": w("token"), class: "token" });
    const told = el("p", { class: "told", role: "status" });
    const send = async (event) => {
      event.preventDefault();
      const answer = await fetch("api/v1/device", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: token.value.trim() }), credentials: "same-origin" });
      token.value = "";
      if (!answer.ok) { told.textContent = w("token_wrong"); return; }
      history.pushState(null, "", address({ view: "operator", line: query().get("line") }));
      dispatchEvent(new Event("taktwin"));
    };
    const leave = async () => {
      await fetch("api/v1/device", { method: "DELETE", headers: { "Content-Type": "application/json" }, credentials: "same-origin" });
      dispatchEvent(new Event("taktwin"));
    };
    main.append(el("h1", {}, w("device")),
      el("p", {}, about.id ? `${about.id}: ${w(about.enter ? "may_enter" : "look_only")}` : w(about.entering ? "device_unknown" : "no_entering")),
      about.id ? el("p", {}, el("button", { type: "button", on: { click: leave } }, w("device_forget"))) : "",
      el("form", { on: { submit: send } }, el("p", {}, el("label", {}, `${w("token")} `, token)), el("p", {}, el("button", { type: "submit" }, w("device_know")))), told);
  });
  return [() => {}, shown];
}
