// What this device has entered and the server does not have yet: kept over reloads, sent in order, each with a number
// of its own, so that one that is sent again is the same one.
const KEY = `taktwin.queue ${new URL(".", document.baseURI).pathname}`;
const AGAIN_MS = 5000;
const MOST_REFUSED = 20;
const listeners = new Set();
let sending = false;
export let blocked = null; // why nothing is sent at present; null: it is

function read() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY));
    if (found && Array.isArray(found.waiting) && Array.isArray(found.refused)) return found;
  } catch { /* a queue that cannot be read is none */ }
  return { seq: 0, waiting: [], refused: [] };
}

function write(queue) {
  localStorage.setItem(KEY, JSON.stringify(queue));
  for (const run of listeners) run();
}

export const waiting = () => read().waiting;
export const refused = () => read().refused;
export function onQueue(run) {
  listeners.add(run);
  return () => listeners.delete(run);
}

// The clock only makes numbers that no earlier queue of this device has used.
function next(queue) {
  queue.seq = Math.max(queue.seq + 1, Date.now());
  return queue.seq;
}

export function enter(entry) {
  const queue = read();
  const entered = new Date().toISOString();
  queue.waiting.push({ ...entry, seq: next(queue), entered });
  write(queue);
  flush();
}

export function dismiss(seq) {
  const queue = read();
  queue.refused = queue.refused.filter((one) => one.seq !== seq);
  write(queue);
}

async function send(entry) {
  const answer = await fetch("api/v1/entries", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(entry), credentials: "same-origin",
  });
  return [answer.status, await answer.json().catch(() => ({}))];
}

export async function flush() {
  if (sending) return;
  sending = true;
  try {
    for (let queue = read(); queue.waiting.length; queue = read()) {
      const entry = queue.waiting[0];
      const [status, data] = await send(entry).catch(() => [0, { error: "" }]);
      const now = read();
      if (status === 200 || status === 409) now.waiting = now.waiting.filter((one) => one.seq !== entry.seq);
      else {
        blocked = data.error ?? "";
        write(now);
        setTimeout(flush, AGAIN_MS);
        return;
      }
      blocked = null;
      // Another tab has used the number: it gets the next one.
      if (data.taken) now.waiting.unshift({ ...entry, seq: next(now) });
      else if (status === 409) now.refused = [{ ...entry, why: data.error }, ...now.refused].slice(0, MOST_REFUSED);
      write(now);
    }
  } finally {
    sending = false;
  }
}
addEventListener("online", flush);
