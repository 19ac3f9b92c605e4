// Words and the marks of classes; the address says the language, else the browser.
export const query = () => new URLSearchParams(location.search);
const asked = query().get("lang");
export const lang = ["en", "de"].includes(asked) ? asked : navigator.language.startsWith("de") ? "de" : "en";
let words = {};

export async function load() {
  words = await get("words");
}
export const w = (key) => words[key] ?? key;
// The server rounds; only the separators are the reader's.
export const num = (text) =>
  text === null || text === undefined ? "–" : (lang === "de" ? text.replace(/[,.]/g, (c) => (c === "," ? "." : ",")) : text).replace(/^-/, "−");

export async function get(path, parameters = {}) {
  const search = new URLSearchParams({ ...parameters });
  if (["words", "view", "why", "stops", "privacy"].includes(path)) search.set("lang", lang);
  const answer = await fetch(`api/v1/${path}?${search}`, { headers: { Accept: "application/json" } });
  const data = await answer.json();
  if (!answer.ok) throw new Error(data.error ?? answer.statusText);
  return data;
}

export const GROUP = {
  running: "running", down: "down", stopped: "minor", minor_stop: "minor", setup: "setup", maintenance: "upkeep",
  starved: "starved", blocked: "blocked", waiting: "waiting", planned_stop: "planned", off_shift: "planned",
  no_order: "planned", unknown: "unknown", not_live: "unknown",
};
export const SIGN = {
  running: "▶", down: "■", stopped: "■", minor_stop: "◧", setup: "✚", maintenance: "✚", starved: "⇥", blocked: "⇤",
  waiting: "…", planned_stop: "–", off_shift: "–", no_order: "–", unknown: "?", not_live: "?",
};

// A link of the page: the language and the theme go with it.
export function address(parameters) {
  const kept = query();
  const made = new URLSearchParams();
  for (const name of ["lang", "theme"]) if (kept.get(name)) made.set(name, kept.get(name));
  for (const [name, value] of Object.entries(parameters)) if (value !== null && value !== undefined) made.set(name, value);
  return `?${made}`;
}

export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const h = Math.floor(s / 3600);
  if (h >= 48) return `${Math.floor(h / 24)} d ${h % 24} h`;
  return h ? `${h}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

export const clock = (ms, zone, short = false) =>
  ms === null ? "–" : new Date(ms).toLocaleString(lang === "de" ? "de-DE" : "en-GB", {
    timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit", ...(short ? {} : { day: "2-digit", month: "2-digit", year: "numeric" }),
  });
