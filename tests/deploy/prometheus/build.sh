#!/bin/sh
# build.sh NAME:TAG BASE: stands in for prom/prometheus where it cannot be pulled, from the machine's own prometheus
# (Debian). For tests only.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$(command -v prometheus)" "$work/prometheus"
cat >"$work/wget" <<'W'
#!/usr/bin/python3
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[-1], timeout=5).read().decode())
W
chmod 755 "$work/wget"
cat >"$work/Dockerfile" <<D
FROM $2
COPY prometheus /bin/prometheus
COPY wget /usr/bin/wget
RUN mkdir -p /prometheus && chown nobody /prometheus
USER nobody
WORKDIR /prometheus
VOLUME /prometheus
ENTRYPOINT ["/bin/prometheus"]
D
docker build --quiet --network=none --tag "$1" "$work" >/dev/null
