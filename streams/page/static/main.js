// The frame: which view the address asks for, the links, the banner over everything that is not live.
import { el } from "./dom.js";
import { handover } from "./handover.js";
import { line } from "./line.js";
import { deviceView, operator } from "./operator.js";
import { plant } from "./plant.js";
import { privacy } from "./privacy.js";
import { age_s, kafka, lines, now, onChange, STALE_S, start } from "./stream.js";
import { wall } from "./wall.js";
import { why } from "./why.js";
import { address, clock, lang, load, query, w } from "./words.js";

const VIEWS = { plant, line, wall, handover, why, operator, device: deviceView, privacy };
const main = document.getElementById("main");
const banner = document.getElementById("banner");
let leave = () => {};
let lastSeen = Date.now();

// `keep`: what is shown is the same in another order; it stays where it is.
async function show(keep = false) {
  const at = keep ? scrollY : 0;
  leave();
  leave = () => {};
  const name = Object.hasOwn(VIEWS, query().get("view")) ? query().get("view") : "plant";
  document.title = `${w(name)} – taktwin`;
  document.getElementById("top").replaceChildren(
    el("a", { href: address({ view: "plant" }), "aria-current": name === "plant" ? "page" : null }, w("plant")),
    el("a", { href: address({ view: "wall" }), "aria-current": name === "wall" ? "page" : null }, w("wall")),
    el("a", { href: address({ view: "operator" }), "aria-current": name === "operator" ? "page" : null }, w("operator")), el("p", { class: "status" }));
  document.getElementById("foot").replaceChildren(el("a", { href: address({ view: "privacy" }) }, w("privacy")));
  main.replaceChildren();
  main.dataset.view = name;
  const made = VIEWS[name](main);
  const [stop, shown] = Array.isArray(made) ? made : [made, null];
  leave = stop;
  if (!shown) return;
  main.dataset.busy = w("reading"); // shown while there is nothing else
  main.setAttribute("aria-busy", "true");
  try {
    await shown;
  } catch (error) {
    main.replaceChildren(el("p", { class: "warn", role: "alert" }, error instanceof TypeError ? w("unreachable") : error.message));
  }
  main.removeAttribute("aria-busy");
  if (keep) scrollTo(0, at);
}

function watch() {
  const lost = age_s() > STALE_S;
  if (!lost) lastSeen = now();
  const zone = lines.values().next().value?.zone;
  const text = lost ? `${w("stale")} ${clock(lastSeen, zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone)}` : kafka === "away" ? w("kafka_away") : "";
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !text;
  const status = document.querySelector(".status");
  if (status) status.textContent = zone && !text ? `${clock(now(), zone, true)} · ${w(kafka === "live" ? "live" : "not_live")}` : "";
  document.body.classList.toggle("stale", Boolean(text));
}

addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || link.target) return;
  if (!link.getAttribute("href")?.startsWith("?")) return;
  event.preventDefault();
  const within = link.closest("nav.counts") && link.closest("section[id]");
  history.pushState(null, "", link.href);
  if (within) show(true);
  else show().then(() => scrollTo(0, 0));
});
addEventListener("popstate", () => show());
addEventListener("taktwin", () => show(query().get("view") === "line"));
// The arrows turn the shifts, Escape goes up; not while somebody types or chooses.
addEventListener("keydown", (event) => {
  if (event.target instanceof Element && event.target.closest("input, select, textarea, .scroll")) return;
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const rel = { ArrowLeft: "prev", ArrowRight: "next", Escape: "up" }[event.key];
  const link = rel && main.querySelector(`a[rel=${rel}]`);
  if (link) link.click();
});

document.documentElement.lang = lang;
const theme = query().get("theme");
if (["light", "dark"].includes(theme)) document.documentElement.dataset.theme = theme;
start();
onChange(watch);
setInterval(watch, 1000);
load().then(() => show(), (error) => main.replaceChildren(el("p", { class: "warn", role: "alert" }, error.message)));
