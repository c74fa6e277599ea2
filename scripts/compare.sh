#!/bin/sh
# Compare this build with another one, for a CI: make compare OLD=FILE.
# usage: OLD=PROGRAM|ROWS.jsonl [BUILD=build] [COMPARE_OPTIONS=...] compare.sh [BENCH-ARGUMENT...]
#
# Against a program, sizes and speeds, of few cells unless arguments say which; against rows (default: the golden ones), sizes
# alone, of the cells that the golden rows have: of this tree they are measured first. Leaves
# BUILD/compare.md for people, BUILD/compare.json, and for rows BUILD/compare.jsonl. The exit code is that of
# `mithril compare`.
set -eu

cd "$(dirname "$0")/.."
build=${BUILD:-build}
options=${COMPARE_OPTIONS:-}
old=${OLD:-tests/golden/sizes.jsonl}
case $old in
*.jsonl)
    # shellcheck source=scripts/golden_cells.sh
    [ $# -gt 0 ] || . scripts/golden_cells.sh
    # Sizes take one round; a small cache makes it a short one.
    "$build/mithril" bench "$@" -q --rounds 1 --cache 1MiB --json "$build/compare.jsonl" >/dev/null
    set -- "$old" "$build/compare.jsonl" --sizes
    ;;
*)
    [ $# -gt 0 ] || set -- tiny-gpt tiny-gpt/finetune-1e-6 -p balanced -p seed
    set -- --run "$old" "$build/mithril" -- "$@"
    ;;
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
