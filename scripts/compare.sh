#!/bin/sh
# Compare this build with another one, for a CI: make compare OLD=FILE.
# usage: OLD=PROGRAM|ROWS.jsonl [BUILD=build] [COMPARE_OPTIONS=...] compare.sh BENCH-ARGUMENT...
#
# Against a program, sizes and speeds; against rows, sizes alone: of this tree they are then measured first. Leaves
# BUILD/compare.md for people, BUILD/compare.json, and for rows BUILD/compare.jsonl. The exit code is that of
# `mithril compare`.
set -eu

cd "$(dirname "$0")/.."
build=${BUILD:-build}
options=${COMPARE_OPTIONS:-}
case ${OLD:-} in
'')
    echo 'compare.sh: OLD names a program to compare with, or a file of rows: make compare OLD=FILE' >&2
    exit 1
    ;;
*.jsonl)
    # Sizes take one round; a small cache makes it a short one.
    "$build/mithril" bench "$@" -q --rounds 1 --cache 1MiB --json "$build/compare.jsonl" >/dev/null
    set -- "$OLD" "$build/compare.jsonl" --sizes
    ;;
*) set -- --run "$OLD" "$build/mithril" -- "$@" ;;
esac
code=0
rm -f "$build/compare.md" "$build/compare.code"
# shellcheck disable=SC2086 # options are words
"$build/mithril" compare $options --markdown "$build/compare.md" --json "$build/compare.json" "$@" || code=$?
# Where a workflow shows a summary, it is this one.
if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -f "$build/compare.md" ]; then
    cat "$build/compare.md" >>"$GITHUB_STEP_SUMMARY"
fi
# make has exit codes of its own: this one stays here.
echo "$code" >"$build/compare.code"
exit "$code"
