#!/bin/sh
# Time command lines from file to file, ours beside the common tools, and append the times as rows of kind e2e.
# usage: hyperfine.sh [FILE]      (default: the last pre-training checkpoint of tiny-gpt)
#
# MITHRIL  the program (default build/mithril)      ROWS  where rows are appended (default beside it, bench/e2e.jsonl)
# RUNS     runs of each command (default 10)        THREADS  of mithril (default 1); the other tools run on one
#
# Files lie in memory (/dev/shm where there is one), so that disks are not measured. `mithril compress` decodes what it
# made and compares before it writes; no other tool does. What is not installed is left out with one line.
set -eu

: "${MITHRIL:=build/mithril}" "${RUNS:=10}" "${THREADS:=1}"
: "${ROWS:=$(dirname "$MITHRIL")/bench/e2e.jsonl}"
file=${1:-datasets/tiny-gpt/pretrain/pretrain-step-002010.safetensors}

if ! command -v hyperfine >/dev/null; then
    echo 'hyperfine.sh: hyperfine is not installed; scripts/install_deps.sh report gets it' >&2
    exit 5
fi
if [ ! -x "$MITHRIL" ]; then
    echo "hyperfine.sh: $MITHRIL is not there; make builds it" >&2
    exit 5
fi
if [ ! -r "$file" ]; then
    echo "hyperfine.sh: $file: can not be read" >&2
    exit 6
fi
case $MITHRIL in
*/*) MITHRIL=$(cd "$(dirname "$MITHRIL")" && pwd)/$(basename "$MITHRIL") ;;
esac

memory=/dev/shm
[ -d "$memory" ] && [ -w "$memory" ] || memory=${TMPDIR:-/tmp}
dir=$(mktemp -d "$memory/mithril-hyperfine.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cp "$file" "$dir/in"
raw=$(wc -c <"$dir/in" | tr -d ' ')
name=$(basename "$file" | tr '|' '_')

# time_tool TOOL PACKED COMPRESS DECOMPRESS: each command once to get PACKED and its size, then both under hyperfine.
time_tool() {
    tool=$1 packed=$2 compress=$3 decompress=$4
    if ! command -v "${compress%% *}" >/dev/null; then
        echo "hyperfine.sh: ${compress%% *} is not installed: left out" >&2
        return 0
    fi
    # shellcheck disable=SC2086 # our own words; $dir has no space unless TMPDIR has one
    $compress && $decompress
    cmp -s "$dir/in" "$dir/out" || {
        echo "hyperfine.sh: $tool does not restore $file" >&2
        exit 2
    }
    stored=$(wc -c <"$packed" | tr -d ' ')
    hyperfine --shell=none --style=basic --warmup 1 --runs "$RUNS" --export-json "$dir/times.json" \
        --command-name "$tool|compress|$name|$raw|$stored" "$compress" \
        --command-name "$tool|decompress|$name|$raw|$stored" "$decompress" >/dev/null 2>"$dir/log" || {
        cat "$dir/log" >&2
        exit 6
    }
    "$MITHRIL" report --hyperfine "$dir/times.json" >>"$dir/rows"
    rm -f "$dir/out" "$packed"
}

for preset in seed balanced; do
    time_tool "mithril $preset -t $THREADS" "$dir/p.mth" \
        "$MITHRIL compress $dir/in -q -f -t $THREADS -p $preset -o $dir/p.mth" \
        "$MITHRIL decompress $dir/p.mth -q -f -t $THREADS -o $dir/out"
done
time_tool 'zstd -3' "$dir/p.zst" "zstd -q -f -k -3 -T1 $dir/in -o $dir/p.zst" "zstd -q -f -d $dir/p.zst -o $dir/out"
time_tool 'lz4' "$dir/p.lz4" "lz4 -q -f $dir/in $dir/p.lz4" "lz4 -q -f -d $dir/p.lz4 $dir/out"
cp "$dir/in" "$dir/out"
time_tool 'xz -1' "$dir/out.xz" "xz -q -f -k -1 -T1 $dir/out" "xz -q -f -k -d $dir/out.xz"

mkdir -p "$(dirname "$ROWS")"
cat "$dir/rows" >>"$ROWS"
"$MITHRIL" report "$dir/rows" | sed -n '/^## Command lines/,$p'
echo "rows: $ROWS"
