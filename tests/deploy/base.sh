#!/bin/sh
# base.sh NAME:TAG: the base image that cannot be pulled here, made from Debian's packages under the name that the
# Dockerfile asks for. For tests only, never to be pushed: it trusts the authorities that this machine trusts.
# Needs mmdebstrap. The files are kept in .cache.
set -eu
cd "$(dirname "$0")/../.."
name=$1 tar=$PWD/.cache/deploy/bookworm.tar
mkdir -p .cache/deploy
[ -e "$tar" ] || {
    mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3-venv,tzdata,netbase \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --format=tar bookworm "$tar.part"
    mv "$tar.part" "$tar"
}
docker image inspect "$name-raw" >/dev/null 2>&1 ||
    docker import --change 'CMD ["python3"]' --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
        "$tar" "$name-raw" >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp /etc/ssl/certs/ca-certificates.crt "$work/ca.crt"
# As python:*-slim: python3 and python in /usr/local/bin.
cat >"$work/Dockerfile" <<D
FROM $name-raw
COPY ca.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN ln -s /usr/bin/python3 /usr/local/bin/python3 && ln -s python3 /usr/local/bin/python
D
docker build --quiet --network=none --tag "$name" "$work" >/dev/null
