// Events as JSON or Arrow in Node:  npm install && node producer.mjs BOOTSTRAP TOPIC LINE json|arrow COUNT
import { Producer, compatibilityPartitioner } from '@platformatic/kafka';
import * as arrow from 'apache-arrow';

const [bootstrap, topic, line, form, count] = process.argv.slice(2);
if (!count) { console.error('node producer.mjs BOOTSTRAP TOPIC LINE json|arrow COUNT'); process.exit(2); }
const BEGIN_NS = 1_772_431_200_000_000_000n; // 2026-03-02T06:00:00Z; BigInt: Number holds no nanoseconds
const PER_RECORD = 100;
const two = (n) => String(n).padStart(2, '0');

function asJson(k) {
  const ts = `2026-03-02T${two(6 + Math.floor(k / 3600))}:${two(Math.floor(k / 60) % 60)}:${two(k % 60)}Z`;
  return JSON.stringify({ type: 'count', ts, line, station: 'st', good: k % 5, seq: k });
}

// One stream of one batch, closed: tableToIPC does that. The builders of dictionaries are new each time.
function asArrow(first, last) {
  const ks = Array.from({ length: last - first }, (_, i) => first + i);
  const word = (text) => arrow.vectorFromArray(ks.map(() => text), new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32()));
  const number = (of) => arrow.makeVector(BigInt64Array.from(ks, (k) => BigInt(of(k))));
  const ts = arrow.makeVector({
    type: new arrow.Timestamp(arrow.TimeUnit.NANOSECOND, 'UTC'), length: ks.length,
    data: BigInt64Array.from(ks, (k) => BEGIN_NS + BigInt(k) * 1_000_000_000n),
  });
  const table = new arrow.Table({
    type: word('count'), ts, line: word(line), station: word('st'), good: number((k) => k % 5), seq: number((k) => k),
  });
  return Buffer.from(arrow.tableToIPC(table, 'stream'));
}

const messages = [];
if (form === 'arrow') {
  const headers = { 'content-type': 'application/vnd.apache.arrow.stream' };
  for (let first = 0; first < count; first += PER_RECORD)
    messages.push({ topic, key: Buffer.from(line), headers: new Map(Object.entries(headers).map(([k, v]) => [Buffer.from(k), Buffer.from(v)])), value: asArrow(first, Math.min(first + PER_RECORD, Number(count))) });
} else {
  for (let k = 0; k < count; k++) messages.push({ topic, key: Buffer.from(line), value: Buffer.from(asJson(k)) });
}
// Its default takes murmur2 as an unsigned number, Kafka leaves the sign out: the same for 4 partitions, not for 5.
const producer = new Producer({
  clientId: 'taktwin-producer', bootstrapBrokers: bootstrap.split(','), idempotent: true, partitioner: compatibilityPartitioner,
});
for (let i = 0; i < messages.length; i += 1000) await producer.send({ messages: messages.slice(i, i + 1000), acks: -1 });
await producer.close();
