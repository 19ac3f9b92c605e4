#!/bin/sh
# A container engine of its own, without a network, in a folder: engine.sh start DIR | stop DIR. Prints its address.
# For machines whose own engine is not running, or must not be touched. Needs root and dockerd (Debian: docker.io).
set -eu
mkdir -p "$2/data" "$2/exec"
dir=$(readlink -f "$2") socket=unix://$(readlink -f "$2")/docker.sock
case $1 in
start)
    if [ -e "$dir/dockerd.pid" ] && kill -0 "$(cat "$dir/dockerd.pid")" 2>/dev/null; then
        echo "$socket"
        exit 0
    fi
    # Nothing of ours: a lock that the caller holds would be held for as long as the engine runs.
    for descriptor in 3 4 5 6 7 8 9; do eval "exec $descriptor>&-"; done
    # A session of its own: it outlives the shell that started it, and Ctrl-C there.
    setsid nohup dockerd --host "$socket" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/dockerd.pid" \
        --bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --userland-proxy=true \
        --storage-driver overlay2 >"$dir/dockerd.log" 2>&1 </dev/null &
    for _ in $(seq 300); do
        if DOCKER_HOST=$socket docker info >/dev/null 2>&1; then
            echo "$socket"
            exit 0
        fi
        sleep 0.1
    done
    tail -20 "$dir/dockerd.log" >&2
    exit 1
    ;;
stop)
    [ -e "$dir/dockerd.pid" ] || exit 0
    pid=$(cat "$dir/dockerd.pid")
    kill "$pid" 2>/dev/null || exit 0
    for _ in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || exit 0
        sleep 0.1
    done
    echo "engine.sh: dockerd ($pid) does not end" >&2
    exit 1
    ;;
*) echo "engine.sh: start or stop, not $1" >&2 && exit 2 ;;
esac
