// One stream for all tabs of a browser: more than six would hang without an error.
import { merge } from "./merge.js";

const ports = new Set();
const lines = new Map();
let beat = null;
let source = null;

function tell(kind, data) {
  for (const port of ports) port.postMessage({ kind, data });
}

function open(url) {
  source = new EventSource(url);
  source.addEventListener("hello", (event) => {
    lines.clear();
    tell("hello", JSON.parse(event.data));
  });
  source.addEventListener("beat", (event) => {
    beat = JSON.parse(event.data);
    tell("beat", beat);
  });
  source.addEventListener("lines", (event) => {
    const told = JSON.parse(event.data);
    tell("lines", told.map((one) => merge(lines, one)));
  });
  source.addEventListener("error", () => {
    tell("lost", null);
    if (source.readyState !== EventSource.CLOSED) return;
    source.close();
    setTimeout(() => open(url), 2000);
  });
}

onconnect = (event) => {
  const port = event.ports[0];
  port.onmessage = (message) => {
    if (message.data.bye) {
      ports.delete(port);
      return;
    }
    ports.add(port);
    if (source === null) open(message.data.url);
    if (beat) port.postMessage({ kind: "beat", data: beat });
    if (lines.size) port.postMessage({ kind: "lines", data: [...lines.values()] });
  };
  port.start();
};
