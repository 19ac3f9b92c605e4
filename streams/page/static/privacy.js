// What may relate to a person, from the configuration that runs: for those whose work the machines show.
import { el, table } from "./dom.js";
import { get } from "./words.js";

export function privacy(main) {
  const shown = get("privacy").then((found) => main.append(el("h1", {}, found.title), el("p", {}, found.said), table(found)));
  return [() => {}, shown];
}
