// What is live: the lines as the server describes them, its clock, and how old what we have is.
import { merge } from "./merge.js";

export const lines = new Map();
const listeners = new Set();
let offset = 0;
let heard = performance.now();
export let kafka = "connecting";

export const now = () => Date.now() + offset;
export const age_s = () => (performance.now() - heard) / 1000;
// What is older is stale, and its timers stand.
export const STALE_S = 15;
export const heardNow = () => now() - (age_s() > STALE_S ? 1000 * age_s() : 0);
export function onChange(run) {
  listeners.add(run);
  return () => listeners.delete(run);
}

function take(kind, data) {
  if (kind === "lost") return;
  heard = performance.now();
  if (kind === "hello") lines.clear();
  if (kind === "hello" || kind === "beat") {
    offset = data.now_ms - Date.now();
    kafka = data.kafka;
  }
  // Of the worker whole lines come, which are merged with themselves.
  if (kind === "lines") for (const one of data) merge(lines, one);
  for (const run of listeners) run(kind);
}

export function start() {
  const url = new URL("api/v1/stream", document.baseURI).href;
  if (typeof SharedWorker !== "undefined") {
    const worker = new SharedWorker(new URL("worker.js", import.meta.url), { name: "taktwin", type: "module" });
    worker.port.onmessage = (event) => take(event.data.kind, event.data.data);
    worker.port.start();
    worker.port.postMessage({ url });
    addEventListener("pagehide", () => worker.port.postMessage({ bye: true }));
    addEventListener("pageshow", (event) => event.persisted && worker.port.postMessage({ url }));
    return;
  }
  const open = () => {
    const source = new EventSource(url);
    for (const kind of ["hello", "beat", "lines"])
      source.addEventListener(kind, (event) => take(kind, JSON.parse(event.data)));
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) return;
      source.close();
      setTimeout(open, 2000);
    });
  };
  open();
}
