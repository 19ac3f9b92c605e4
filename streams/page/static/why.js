// A figure and all that is under it, under an address of its own. Without a window: only what lies in a span.
import { el, table } from "./dom.js";
import { chosen } from "./line.js";
import { address, get, num, query, w } from "./words.js";

function copying(text, label) {
  const button = el("button", { type: "button" }, label);
  button.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(text).catch(() => {});
    button.textContent = w("copied");
  });
  return button;
}

// The rows of the span are computed again from the stored events on the server, and compared cell by cell.
function recomputing(line, start, end) {
  const told = el("p", { role: "status", class: "told" });
  const button = el("button", { type: "button", on: { click: async () => {
    button.disabled = true;
    const begun = Date.now();
    const tell = () => { told.textContent = `${w("recomputing")} ${Math.round((Date.now() - begun) / 1000)} s`; };
    const telling = setInterval(tell, 1000);
    tell();
    try {
      const found = await get("recompute", { line, start, end }).finally(() => clearInterval(telling));
      const first = found.differences.length ? `: ${JSON.stringify(found.differences[0])}` : "";
      told.textContent = `${w(found.sound ? "equal" : "differs")}${first}, ${num(found.rows.toLocaleString("en"))} ${w("rows_compared")}, ${num(found.events.toLocaleString("en"))} ${w("events_folded")}, ${num(found.seconds.toFixed(1))} s${found.notes.map((one) => `; ${one}`).join("")}`;
    } catch (error) {
      told.textContent = error.message;
    }
    button.disabled = false;
  } } }, w("recompute_here"));
  return [el("p", {}, button, " ", copying(location.href, w("link"))), told];
}

// What always stands open has no fold: who taps it would close it.
const OPEN = ["classes", "policies", "otherwise", "revisions"];

// To where one came from, or else to the shift, day or order that the row is of.
function back({ line, row }) {
  const from = chosen();
  const of = row && { shift: row.shift, day: row.production_date, order: row.order }[row.window];
  return { view: "line", line, ...(of ? { [row.window]: of } : {}), ...(Object.keys(from).length > 1 ? { ...from, line } : {}) };
}

const notes = { policies: "policy_note", otherwise: "otherwise_note" };

export function why(main) {
  const asked = query();
  const parameters = {};
  for (const name of ["line", "station", "window", "start", "end"]) if (asked.get(name)) parameters[name] = asked.get(name);
  const shown = get("why", parameters).then((found) => {
    const row = found.row;
    const part = (name, title) => {
      const rows = found.tables[name]?.rows;
      if (!rows?.length) return null;
      const told = [notes[name] ? el("p", { class: "soft" }, w(notes[name])) : null, table(found.tables[name])];
      return OPEN.includes(name) || (!row && !found.said)
        ? el("section", { id: name }, el("h2", {}, title), told)
        : el("details", { id: name }, el("summary", {}, `${title} (${rows.length})`), told);
    };
    const span = `${found.start_local} – ${found.end_local}, ${found.zone}`;
    main.replaceChildren(el("section", { class: "head" },
      el("p", {}, el("a", { href: address(back(found)), rel: "up" }, `← ${found.line}`)),
      el("h1", {}, w(found.said ? "why" : "what_lies_under"), el("span", { class: "soft" }, ` ${found.line} ${found.station ?? ""} ${row ? `${w(row.window)} ${row.shift ?? row.order ?? row.production_date ?? ""}` : ""}`)),
      found.said ? el("p", { class: "big" }, found.said) : null,
      found.formula ? el("p", {}, found.formula) : null,
      row?.suspect ? el("p", { class: "warn" }, w("suspect")) : null,
      found.ideal_said ? el("p", {}, found.ideal_said) : null,
      row?.constraint ? el("p", { class: "soft" }, `${w("station")}: ${row.constraint}. ${w("oee_note")}`) : null,
      el("p", { class: "soft" }, span, row ? `, ${w("revision")} ${row.revision}` : ""),
      found.settled_said ? el("p", {}, found.settled_said) : null),
    el("section", {}, ...[part("classes", w("not_counted")), part("policies", w("policy")), part("otherwise", w("otherwise")), part("revisions", w("revisions")),
      part("states", w("timeline")), part("events", w("events")), part("refused", w("refused"))].filter((one) => one)),
    el("section", {}, el("h2", {}, w("proof")),
      recomputing(found.line, parameters.start, parameters.end),
      row ? el("p", { class: "soft" }, `${w("offset")} ${row.source_topic} ${row.source_partition}/${row.source_offset}, ${found.file ?? "–"}`) : null,
      el("p", {}, `${w("recompute")}:`), found.commands.map((text) => el("p", {}, el("code", {}, text), " ", copying(text, w("copy"))))));
  });
  return [() => {}, shown];
}
