// Lines, key figures and alerts of the twin in Node:  npm install && node consumer.mjs BOOTSTRAP [PREFIX] [IDLE_SECONDS]
// Reads from the beginning, prints one line per record, leaves repeats out by their id, and ends after IDLE_SECONDS without
// another record (0, the default: never).
import { randomUUID } from 'node:crypto';
import { Consumer, stringDeserializers } from '@platformatic/kafka';

const [bootstrap, prefix = 'twin', idle = '0'] = process.argv.slice(2);
if (!bootstrap) { console.error('node consumer.mjs BOOTSTRAP [PREFIX] [IDLE_SECONDS]'); process.exit(2); }
const MOST_IDS = 100_000; // a repeat comes within seconds of the first: docs/client.md

const seen = new Map(); // partition -> Set of ids, in the order in which they came
function isNews(place, id) {
  if (!seen.has(place)) seen.set(place, new Set());
  const ids = seen.get(place);
  if (ids.has(id)) return false;
  ids.add(id);
  if (ids.size > MOST_IDS) ids.delete(ids.values().next().value);
  return true;
}

// Times are text, because Number holds no nanoseconds. `set` is absent in a view of `lines`, which has no id.
function told(row) {
  if (row.set === undefined) return ['lines', row.line, row.state, row.newest ?? ''].join('\t');
  if (row.set === 'alerts') return ['alerts', row.line, row.station ?? '-', `${row.kind} ${row.action}`, row.ts, row.id].join('\t');
  return [row.set, row.line, row.station ?? '-', row.window, row.end, row.id].join('\t');
}

// A group of its own each time, and no commit: it starts from the beginning. A service that must go on where it stopped takes
// a name that stays, and commits.
const consumer = new Consumer({
  groupId: `consumer-${randomUUID()}`, clientId: 'taktwin-consumer', bootstrapBrokers: bootstrap.split(','),
  deserializers: stringDeserializers,
});
const topics = ['lines', 'kpis', 'alerts'].map((name) => `${prefix}.${name}`);
const stream = await consumer.consume({ topics, mode: 'earliest', autocommit: false });
let last = 0;
if (Number(idle) > 0) {
  setInterval(async () => {
    if (!last || Date.now() - last < Number(idle) * 1000) return;
    await stream.close(); await consumer.close(true); process.exit(0);
  }, 500);
}
for await (const record of stream) {
  last = Date.now();
  const row = JSON.parse(record.value);
  if (row.id === undefined || isNews(`${record.topic}/${record.partition}`, row.id)) console.log(told(row));
}
