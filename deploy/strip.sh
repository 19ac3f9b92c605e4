#!/bin/sh
# strip.sh ENVIRONMENT: takes out what no command reads: tests, headers, stubs, what builds; compiles the rest.
set -eu
lib=$(echo "$1"/lib/python3*/site-packages)
before=$(du -sk "$1" | cut -f1)
find "$lib" -type d \( -name tests -o -name test -o -name __pycache__ \) -prune -exec rm -rf {} +
rm -rf "$lib"/pyarrow/include "$lib"/pyarrow/src "$lib"/numpy/_core/include "$lib"/numpy/f2py "$lib"/pip
find "$lib" \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.h' -o -name '*.hpp' -o -name '*.c' -o -name '*.a' \) -delete
rm -f "$lib"/pyarrow/libarrow_flight* "$lib"/pyarrow/libarrow_python_flight* "$lib"/pyarrow/_flight*.so \
    "$lib"/pyarrow/_pyarrow_cpp_tests*.so
# A wheel has no links: one library under several names is as many copies.
for so in "$lib"/pyarrow/*.so; do
    for copy in "$so".*; do
        if cmp -s "$so" "$copy"; then ln -sf "${so##*/}" "$copy"; fi
    done
done
after=$(du -sk "$1" | cut -f1)
# Some files are templates that no Python compiles: what fails here fails at its import, if ever.
"$1"/bin/python -m compileall -q -j 0 "$lib" >/dev/null || true
echo "stripped: $before -> $after KiB, compiled: $(du -sk "$1" | cut -f1) KiB"
