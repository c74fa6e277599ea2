#!/bin/sh
# Time command lines from file to file, ours beside the common tools, and append the times as rows of kind e2e.
# usage: hyperfine.sh [FILE [BASE]]      (default: the last pre-training checkpoint of tiny-gpt, and the one 9 steps before)
#
# MITHRIL  the program (default build/mithril)      ROWS  where rows are appended (default beside it, bench/e2e.jsonl)
# RUNS     runs of each command (default 10)        THREADS  numbers of threads, with spaces between (default 1)
# DISK     a directory to measure in as well, on a disk (default none; memory is always measured)
# COLD     1: on the disk also with what is read out of the system's cache; needs root, and slows everything else down
#
# `mithril compress` decodes what it made and compares before it writes; no other tool does. With a BASE ours code against it, and
# zstd --patch-from. What is not installed is left out with one line.
set -eu

: "${MITHRIL:=build/mithril}" "${RUNS:=10}" "${THREADS:=1}" "${DISK:=}" "${COLD:=}"
: "${ROWS:=$(dirname "$MITHRIL")/bench/e2e.jsonl}"
tiny=datasets/tiny-gpt/pretrain/pretrain-step
file=${1:-$tiny-002010.safetensors}
base=${2:-}
[ $# -gt 0 ] || base=$tiny-002001.safetensors

fail() {
    echo "hyperfine.sh: $2" >&2
    exit "$1"
}
command -v hyperfine >/dev/null || fail 5 'hyperfine is not installed; scripts/install_deps.sh report gets it'
[ -x "$MITHRIL" ] || fail 5 "$MITHRIL is not there; make builds it"
for input in "$file" ${base:+"$base"}; do
    [ -r "$input" ] || fail 6 "$input: can not be read"
done
[ -z "$DISK" ] || { [ -d "$DISK" ] && [ -w "$DISK" ]; } || fail 6 "$DISK: is no directory to write to"
drop=/proc/sys/vm/drop_caches
[ -z "$COLD" ] || [ -z "$DISK" ] || [ -w "$drop" ] || fail 5 "COLD: $drop can not be written"
case $MITHRIL in
*/*) MITHRIL=$(cd "$(dirname "$MITHRIL")" && pwd)/$(basename "$MITHRIL") ;;
esac

memory=/dev/shm
[ -d "$memory" ] && [ -w "$memory" ] || memory=${TMPDIR:-/tmp}
scratch=$(mktemp -d "$memory/mithril-hyperfine.XXXXXX")
dir=$scratch
trap 'rm -rf "$scratch" "$dir"' EXIT
trap 'exit 130' INT TERM
: >"$scratch/rows"
printf '#!/bin/sh\nsync\necho 3 >%s\n' "$drop" >"$scratch/drop"
raw=$(wc -c <"$file" | tr -d ' ')
name=$(basename "$file" | tr '|' '_')

# time_tool TOOL THREADS BASE PACKED COMPRESS DECOMPRESS: each command once to get PACKED and its size, then both under hyperfine.
time_tool() {
    tool=$1 threads=$2 against=$3 packed=$4 compress=$5 decompress=$6
    if ! command -v "${compress%% *}" >/dev/null; then
        echo "hyperfine.sh: ${compress%% *} is not installed: left out" >&2
        return 0
    fi
    # shellcheck disable=SC2086 # our own words; $dir has no space unless TMPDIR or DISK has one
    $compress && $decompress
    cmp -s "$dir/in" "$dir/out" || fail 2 "$tool does not restore $file"
    stored=$(wc -c <"$packed" | tr -d ' ')
    what="$name|$raw|$stored|$against|$threads|$system|$cache"
    if [ "$cache" = cold ]; then
        set -- --prepare "sh $scratch/drop"
    else
        set -- --warmup 1
    fi
    hyperfine --shell=none --style=basic "$@" --runs "$RUNS" --export-json "$scratch/times.json" \
        --command-name "$tool|compress|$what" "$compress" \
        --command-name "$tool|decompress|$what" "$decompress" >/dev/null 2>"$scratch/log" || {
        cat "$scratch/log" >&2
        exit 6
    }
    "$MITHRIL" report --hyperfine "$scratch/times.json" >>"$scratch/rows"
    rm -f "$dir/out" "$packed"
}

time_alone() {
    for preset in seed balanced; do
        time_tool "mithril $preset" "$1" '' "$dir/p.mth" \
            "$MITHRIL compress $dir/in -q -f -t $1 -p $preset -o $dir/p.mth" \
            "$MITHRIL decompress $dir/p.mth -q -f -t $1 -o $dir/out"
    done
    time_tool 'zstd -3' "$1" '' "$dir/p.zst" \
        "zstd -q -f -k -3 -T$1 $dir/in -o $dir/p.zst" "zstd -q -f -d $dir/p.zst -o $dir/out"
    cp "$dir/in" "$dir/out" # what xz restores goes by the name of what it compressed
    time_tool 'xz -1' "$1" '' "$dir/out.xz" "xz -q -f -k -1 -T$1 $dir/out" "xz -q -f -k -d $dir/out.xz"
}

time_against_base() {
    against=$(basename "$base" | tr '|' '_')
    for preset in seed balanced; do
        time_tool "mithril $preset" "$1" "$against" "$dir/p.mth" \
            "$MITHRIL compress $dir/in -b $dir/base -q -f -t $1 -p $preset -o $dir/p.mth" \
            "$MITHRIL decompress $dir/p.mth -b $dir/base -q -f -t $1 -o $dir/out"
    done
    time_tool 'zstd -3 --patch-from' "$1" "$against" "$dir/p.zst" \
        "zstd -q -f -k -3 --long=27 -T$1 --patch-from=$dir/base $dir/in -o $dir/p.zst" \
        "zstd -q -f -d --long=27 --patch-from=$dir/base $dir/p.zst -o $dir/out"
}

# time_in DIRECTORY CACHE
time_in() {
    dir=$(mktemp -d "$1/mithril-hyperfine.XXXXXX") cache=$2
    system=$(df -PT "$dir" 2>/dev/null | awk 'NR == 2 { print $2 }') || system=
    cp "$file" "$dir/in"
    [ -z "$base" ] || cp "$base" "$dir/base"
    for threads in $THREADS; do
        time_alone "$threads"
        [ -z "$base" ] || time_against_base "$threads"
    done
    time_tool 'lz4' 1 '' "$dir/p.lz4" "lz4 -q -f $dir/in $dir/p.lz4" "lz4 -q -f -d $dir/p.lz4 $dir/out"
    rm -rf "$dir"
}

time_in "$memory" warm
[ -z "$DISK" ] || time_in "$DISK" warm
[ -z "$DISK" ] || [ -z "$COLD" ] || time_in "$DISK" cold

mkdir -p "$(dirname "$ROWS")"
cat "$scratch/rows" >>"$ROWS"
"$MITHRIL" report "$scratch/rows" | sed -n '/^## File to file/,$p'
echo "rows: $ROWS"
