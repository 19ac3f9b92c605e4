#!/bin/sh
# warm.sh FOLDER: the kernels into $TAKTWIN_CACHE, by way of FOLDER, which a later build finds again: a kernel is found by
# the hash of its wing's sources, wherever it lies.
set -eu
twin=/opt/taktwin/bin/twin
mkdir -p -m 755 "$TAKTWIN_CACHE"
TAKTWIN_CACHE=$1 $twin warm
TAKTWIN_CACHE=$1 $twin warm --expect-hits --into "$TAKTWIN_CACHE"
chmod -R a+rX,go-w "$TAKTWIN_CACHE"
$twin warm --expect-hits
