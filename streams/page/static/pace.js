// Ahead or behind: what the target asks so far, what was made, the difference in parts and in minutes.
import { el } from "./dom.js";
import { lasting, num, w } from "./words.js";

export function pace(one) {
  const shift = one?.shift;
  if (!shift) return el("p", { class: "pace" }, w("not_measured"));
  if (!shift.plan_text) return el("p", { class: "pace" }, el("b", {}, num(shift.good_text)), ` ${w("made_good")} `, el("span", { class: "soft" }, w("no_target")));
  return el("p", { class: `pace ${shift.behind ? "behind" : "ahead"}` },
    el("span", {}, `${w("target_so_far")} `, el("b", {}, num(shift.plan_text))), " ",
    el("span", {}, `${w("made")} `, el("b", {}, num(shift.good_text))), " ",
    el("span", { class: "diff" }, el("b", {}, `${num(shift.diff_text)} ${w("parts")}`), shift.diff_ns === null ? "" : el("span", {}, ` = ${lasting(shift.diff_ns)}`)), " ",
    el("span", { class: "soft" }, `${w("shift_ends")} ${shift.end_local}`));
}
