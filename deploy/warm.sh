#!/bin/sh
# warm.sh FOLDER: the kernels into $TAKTWIN_CACHE, by way of FOLDER, which a later build finds again.
# A kernel is found by the hash of its wing's sources, wherever it lies: so folders are copied, only those of these sources.
set -eu
twin=/opt/taktwin/bin/twin
mkdir -p -m 755 "$TAKTWIN_CACHE"
TAKTWIN_CACHE=$1 $twin warm --json | tee /dev/stderr | sed -n 's/^ *"\(\/.*\)",*$/\1/p' | while read -r wing; do
    cp -r "$wing" "$TAKTWIN_CACHE/"
done
chmod -R a+rX,go-w "$TAKTWIN_CACHE"
$twin warm --expect-hits
