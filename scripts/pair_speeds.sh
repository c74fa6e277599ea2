#!/bin/sh
# At what speed `balanced` codes pairs on one thread: cold passes, all of them verified, beside memcpy in the same rounds, with the
# processor's vectors of 512 bits, of 256, and in plain C. In turns: all pairs at one setting would be one hour's clock.
#
#   scripts/pair_speeds.sh FOLDER [PAIR...]
#
# Writes speed.jsonl, the rows that the table shows, and speed.md to FOLDER. Times mean nothing while the machine does something else.
#   MITHRIL  the program (default build/mithril)     ROUNDS  samples of each cell (default 9)     TURNS  (default 3)
set -eu

mithril=${MITHRIL:-build/mithril}
rounds=${ROUNDS:-9}
turns=${TURNS:-3}
if [ $# -lt 1 ]; then
    echo "usage: $0 FOLDER [PAIR...]" >&2
    exit 2
fi
out=$1
shift
[ $# -gt 0 ] || set -- gpt-finetune/1e-6-1 gpt-pretrain/late-1 gpt-finetune/1e-6-10 small-gpt/pretrain-1 gpt-pretrain/late-10 \
    gpt-finetune/1e-5-9 gpt-pretrain/middle-1 recommender/train-10 gpt-tied/pretrain-10
mkdir -p "$out"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
turn=0
while [ "$turn" -lt "$turns" ]; do
    turn=$((turn + 1))
    for pair in "$@"; do
        for disabled in "" avx512 avx512,avx2; do
            MTH_DISABLE_CPU=$disabled "$mithril" bench -q "$pair" -p balanced -t 1 --rounds "$rounds" \
                --seconds 3 --json "$scratch/rows.jsonl" >/dev/null
            cat "$scratch/rows.jsonl" >>"$scratch/all.jsonl"
        done
    done
done

# Of the turns the middle one, by its share of memcpy.
awk -v rows="$out/speed.jsonl" '
function text(name) { return match($0, "\"" name "\":\"[^\"]*\"") ? substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5) : "" }
function number(name) { return match($0, "\"" name "\":[-0-9.e+]+") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0 : 0 }
/"kind":"env"/ && !(text("env_id") in disabled) { disabled[text("env_id")] = text("cpu_disabled"); print >rows }
/"kind":"cell"/ && /"verified":true/ && /"spec":"balanced"/ {
    id = text("dataset"); key = id SUBSEP disabled[text("env_id")] SUBSEP text("phase")
    if (!(id in changed)) { ids[++n] = id; changed[id] = number("fraction_changed"); ratio[id] = number("ratio") }
    # In the order of their shares.
    for (at = ++n_turns[key]; at > 1 && share[key, at - 1] > number("pct_memcpy"); at--) {
        share[key, at] = share[key, at - 1]; speed[key, at] = speed[key, at - 1]; row[key, at] = row[key, at - 1]
    }
    share[key, at] = number("pct_memcpy"); speed[key, at] = number("gib_s"); row[key, at] = $0
}
function cell(id, disabled, phase,    key, middle) {
    key = id SUBSEP disabled SUBSEP phase
    if (!(key in n_turns))
        return "-"
    middle = int((n_turns[key] + 1) / 2)
    print row[key, middle] >rows
    return sprintf("%.2f (%.0f)", speed[key, middle], share[key, middle])
}
END {
    print "| pair | changed | ratio | AVX-512 | | AVX2 | | plain C | |"
    print "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for (i = 1; i <= n; i++)
        printf("| `%s` | %.1f %% | %.2f | %s | %s | %s | %s | %s | %s |\n", ids[i], 100 * changed[ids[i]], ratio[ids[i]],
            cell(ids[i], "", "compress"), cell(ids[i], "", "decompress"), cell(ids[i], "avx512", "compress"),
            cell(ids[i], "avx512", "decompress"), cell(ids[i], "avx512,avx2", "compress"), cell(ids[i], "avx512,avx2", "decompress"))
}' "$scratch/all.jsonl" >"$out/speed.md"
cat "$out/speed.md"
