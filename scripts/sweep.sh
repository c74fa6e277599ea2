#!/bin/sh
# A sweep without an engine: its shards one after the other, and its report. Shards whose rows are there are not measured again,
# so that a long sweep that was cut off goes on where it was.
# usage: sweep.sh N BENCH-ARGUMENT...
#
# MITHRIL  the program (default build/mithril)      OUT  where rows go (default sweep)
# ONLY     numbers of the shards to measure here, with spaces between (default all); another host measures the rest
set -eu

: "${MITHRIL:=build/mithril}" "${OUT:=sweep}" "${ONLY:=}"
if [ $# -lt 2 ]; then
    echo 'usage: sweep.sh N BENCH-ARGUMENT...' >&2
    exit 1
fi
n=$1
shift
case $n in
'' | *[!0-9]*)
    echo "sweep.sh: $n is no number of shards" >&2
    exit 1
    ;;
esac
mkdir -p "$OUT"
i=1
while [ "$i" -le "$n" ]; do
    case " ${ONLY:-$i} " in
    *" $i "*) [ -e "$OUT/rows.$i-of-$n.jsonl" ] ||
        "$MITHRIL" bench "$@" -q --shard "$i/$n" --json "$OUT/rows.jsonl" ;;
    esac
    i=$((i + 1))
done
[ -n "$ONLY" ] || "$MITHRIL" report "$OUT"/rows.*-of-"$n".jsonl --markdown "$OUT/report.md" --csv "$OUT/cells.csv"
