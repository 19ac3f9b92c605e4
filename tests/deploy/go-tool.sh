#!/bin/sh
# go-tool.sh NAME...: programs that the tests of deploy/ need, built from their Go modules into .cache/tools.
# Needs Go and the module proxy; one that is there already is left alone. In a throw-away module each: `go install` takes
# none whose go.mod has replace or exclude lines.
set -eu
cd "$(dirname "$0")/../.."
tools=$PWD/.cache/tools
mkdir -p "$tools"
export CGO_ENABLED=0

build() { # NAME PACKAGE LDFLAGS, the module's requirements on standard input
    work=$(mktemp -d "$tools/build-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cat >"$work/go.mod"
    printf '//go:build tools\n\npackage build\n\nimport _ "%s"\n' "$2" >"$work/tools.go"
    (cd "$work" && go mod tidy && go build -mod=mod -trimpath -ldflags="-s -w $3" -o "$tools/$1" "$2")
    rm -rf "$work"
    trap - EXIT
}

kubernetes() { # NAME: of one release, whose parts are modules of their own (v0.0.0 in its go.mod, replaced there)
    version=1.36.3
    folder=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/^.*"Dir": "\(.*\)",*$/\1/p')
    {
        printf 'module build\n\n'
        grep -E '^(go|godebug) ' "$folder/go.mod" || true
        printf 'require k8s.io/kubernetes v%s\n' "$version"
        sed -nE 's|^[[:space:]]*(k8s\.io/[a-z0-9-]+) v0\.0\.0( .*)?$|\1|p' "$folder/go.mod" | sort -u |
            sed "s|.*|replace & => & v${version#1.}|; s| v\([0-9]\)| v0.\1|"
    } | build "$1" "k8s.io/kubernetes/cmd/$1" "-X k8s.io/component-base/version.gitVersion=v$version"
}

for name; do
    [ ! -x "$tools/$name" ] || continue
    echo "building $name (once; minutes)"
    case $name in
    docker-compose)
        printf 'module build\n\ngo 1.25\n\nrequire github.com/docker/compose/v5 v5.6.0\n' |
            build docker-compose github.com/docker/compose/v5/cmd "-X github.com/docker/compose/v5/internal.Version=v5.6.0"
        ;;
    etcd)
        printf 'module build\n\ngo 1.25\n\nrequire go.etcd.io/etcd/server/v3 v3.6.8\n' |
            build etcd go.etcd.io/etcd/server/v3 ""
        ;;
    kubectl | kube-apiserver) kubernetes "$name" ;;
    *) echo "go-tool.sh: $name is not one of docker-compose, etcd, kubectl, kube-apiserver" >&2 && exit 2 ;;
    esac
done
