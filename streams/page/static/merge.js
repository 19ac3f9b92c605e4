// A line as it is now, out of what it was and what has changed of it.
export function merge(lines, news) {
  const before = lines.get(news.line);
  const { changed, ...rest } = news;
  const one = { ...before, ...rest };
  if (changed && before) {
    one.stations = [...before.stations];
    for (const [i, state, since_ms] of changed) one.stations[i] = { ...one.stations[i], state, since_ms };
  }
  lines.set(one.line, one);
  return one;
}
