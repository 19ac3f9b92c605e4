#!/bin/sh
# warm.sh FOLDER: the kernels into $TAKTWIN_CACHE, by way of FOLDER, which a later build finds again.
set -eu
twin=/opt/taktwin/bin/twin
mkdir -p -m 755 "$TAKTWIN_CACHE"
TAKTWIN_CACHE=$1 $twin warm
# Only those of these sources: the folder may hold others.
TAKTWIN_CACHE=$1 $twin warm --json --expect-hits | sed -n 's/^ *"\(\/.*\)",*$/\1/p' | while read -r kept; do
    cp -r "$kept" "$TAKTWIN_CACHE/"
done
chmod -R a+rX,go-w "$TAKTWIN_CACHE"
$twin warm --expect-hits
