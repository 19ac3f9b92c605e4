// A figure and all that is under it, under an address of its own.
import { el, table } from "./dom.js";
import { address, get, query, w } from "./words.js";

export function why(main) {
  const asked = query();
  const parameters = {};
  for (const name of ["line", "station", "window", "start", "end"]) if (asked.get(name)) parameters[name] = asked.get(name);
  const shown = get("why", parameters).then((found) => {
    const row = found.row;
    const part = (name, title) => found.tables[name].rows.length
      ? el("details", { open: ["classes", "policies"].includes(name) }, el("summary", {}, `${title} (${found.tables[name].rows.length})`), table(found.tables[name]))
      : null;
    const copy = (text) => {
      const button = el("button", { type: "button" }, w("copy"));
      button.addEventListener("click", async () => {
        await navigator.clipboard?.writeText(text).catch(() => {});
        button.textContent = w("copied");
      });
      return el("p", {}, el("code", {}, text), " ", button);
    };
    main.replaceChildren(el("section", { class: "head" },
      el("p", {}, el("a", { href: address({ view: "line", line: row.line }), rel: "up" }, `← ${row.line}`)),
      el("h1", {}, w("why"), el("span", { class: "soft" }, ` ${row.line} ${row.station ?? ""} ${row.window} ${row.shift ?? row.order ?? ""}`)),
      el("p", { class: "big" }, found.said),
      row.constraint ? el("p", { class: "soft" }, `${w("station")}: ${row.constraint}. ${w("oee_note")}`) : null,
      row.suspect ? el("p", { class: "warn" }, w("suspect")) : null,
      el("p", { class: "soft" }, `${row.start} – ${row.end}, ${w("revision")} ${row.revision}`)),
    el("section", {}, ...[part("classes", w("not_counted")), part("policies", w("policy")), part("revisions", w("revisions")),
      part("states", w("timeline")), part("events", w("events")), part("refused", w("refused"))].filter((one) => one)),
    el("section", {}, el("h2", {}, w("proof")),
      el("p", { class: "soft" }, `${w("offset")} ${row.source_topic} ${row.source_partition}/${row.source_offset}, ${found.file ?? "–"}`),
      el("p", {}, `${w("recompute")}:`), found.commands.map(copy)));
  });
  return [() => {}, shown];
}
