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

// A running timer with its unit: "12:05" alone reads like a time of day.
export const timed = (text) => (!text || text.includes("d") ? text : `${text}\u00a0${text.split(":").length === 3 ? "h" : "min"}`);

// A duration as people say it, by the rule of twin/report/said.py: "12 s", "12 min 05 s", "5 h 06 min", "3 d 4 h".
export function lasting(ns) {
  const two = (n) => String(n).padStart(2, "0");
  if (ns < 9.95e9) return `${num((ns / 1e9).toFixed(1).replace(/\.0$/, ""))} s`;
  const s = Math.floor(ns / 1e9 + 0.5);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 ? ` ${two(s % 60)} s` : ""}`;
  const min = Math.floor(ns / 6e10 + 0.5);
  if (min < 48 * 60) return `${Math.floor(min / 60)} h${min % 60 ? ` ${two(min % 60)} min` : ""}`;
  const h = Math.floor(ns / 3.6e12 + 0.5);
  return `${Math.floor(h / 24)} d${h % 24 ? ` ${h % 24} h` : ""}`;
}

// An order's end on the plant's clock, with its range where the paces differ: "~Mon 14:35 (13:50 – 15:40)".
export function done(one) {
  if (one.order_end_ms === null) return null;
  const at = (ms) => new Date(ms).toLocaleString(lang === "de" ? "de-DE" : "en-GB", { timeZone: one.zone, weekday: "short", hour: "2-digit", minute: "2-digit" }).replace(",", "");
  const [likely, first, last] = one.order_end_ms;
  return `~${at(likely)}${first < last ? ` (${at(first)} – ${at(last)})` : ""}`;
}

// What an order is about: when it is done and how late that is.
export const orderSaid = (one) => [`${w("order")} ${one.order}`, done(one),
  one.order_late_ns === null ? null : `${lasting(one.order_late_ns)} ${w("late")}`].filter((text) => text).join(", ");

// An alert in the reader's words: what, where, and its value with its limit.
export const alertSaid = (alert) => `${w(`alert_${alert.kind}`).replace(/^alert_/, "")}${alert.station ? ` ${alert.station}` : ""}: ${alert.said[lang]}`;

export const clock = (ms, zone, short = false) =>
  ms === null ? "–" : new Date(ms).toLocaleString(lang === "de" ? "de-DE" : "en-GB", {
    timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit", ...(short ? {} : { day: "2-digit", month: "2-digit", year: "numeric" }),
  });
