#!/bin/sh
# build.sh NAME:TAG BASE: stands in for apache/kafka where it cannot be pulled: the same name, port, user and environment
# (a subset). For tests only. The jars are those of `twin broker`; needs a JDK of version 17 or newer.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
jars=$("$here/../../../.venv/bin/python" -c '
from streams.local.java import tools
print(tools().jars)')
jlink --add-modules java.base,java.desktop,java.logging,java.management,java.naming,java.security.jgss,java.security.sasl,java.sql,java.xml,jdk.unsupported,jdk.management,jdk.crypto.ec,jdk.net,jdk.security.jgss \
    --strip-debug --no-header-files --no-man-pages --compress 0 --output "$work/jre"
mkdir "$work/libs"
cp "$jars"/*.jar "$work/libs/"
cp "$here/Dockerfile" "$here/run.sh" "$work/"
chmod 755 "$work/run.sh"
docker build --quiet --network=none --build-arg BASE="$2" --tag "$1" "$work" >/dev/null
