#!/bin/sh
# Record the noise of this machine for the simulations of tests/large_compare.c: a program compared with itself, and the times
# of every block kept.
# usage: MITHRIL=build/mithril compare_noise.sh RUNS >tests/fixtures/compare_noise.tsv
set -eu

runs=${1:?usage: compare_noise.sh RUNS}
mithril=${MITHRIL:-build/mithril}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for run in $(seq 1 "$runs"); do
    # Whatever the result: the times count.
    "$mithril" compare --run "$mithril" "$mithril" --seed "$run" -q --json "$scratch/$run.json" -- \
        tiny-gpt/finetune-1e-6 tiny-gpt -p balanced -p seed || [ $? -ne 1 ]
done

echo '# A program beside itself: a block a line, processor time in microseconds of three runs, for each phase of each cell.'
"$mithril" env | sed -n 's/^cpu_model  */# /p;s/^cpus_allowed  */# processors: /p'
for run in $(seq 1 "$runs"); do
    # Three arrays a phase: each on a line, then turned so that a block is one.
    grep -o '"[a-z]*_block_ns":\[[^]]*\]' "$scratch/$run.json" | sed 's/.*\[//;s/\]//' |
        awk -F, '{ for (i = 1; i <= NF; i++) v[NR, i] = $i; n = NF }
            END { for (i = 1; i <= n; i++) { for (r = 1; r <= NR; r++) printf "%s%.1f", (r > 1 ? "\t" : ""), v[r, i] / 1000; print "" } }'
done
