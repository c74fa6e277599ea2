#!/bin/sh
# Real comparisons, counted: a build with itself, and with a build that is slower by a part that is planted.
# usage: compare_trials.sh TRIALS [SECONDS] [-- BENCH-ARGUMENT...]      (default: 20 trials of 120 seconds)
#
# make compare-trials builds the slower one, in which every sample of bench takes 5 % more processor time.
set -eu

trials=${1:-20}
seconds=${2:-120}
[ $# -lt 1 ] || shift
[ $# -lt 1 ] || shift
[ "${1:-}" != -- ] || shift
[ $# -gt 0 ] || set -- tiny-gpt/finetune-1e-6 tiny-gpt -p balanced -p seed

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
mithril=${MITHRIL:-build/mithril}
planted=${PLANTED:-build/planted/mithril}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# count NEW LABEL: the verdicts of all trials against the build itself.
count() {
    new=$1
    label=$2
    shift 2
    ok=0
    regressed=0
    inconclusive=0
    for trial in $(seq 1 "$trials"); do
        code=0
        "$mithril" compare --run "$mithril" "$new" --seconds "$seconds" --seed "$trial" -q \
            --json "$scratch/$label-$trial.json" -- "$@" || code=$?
        case $code in
        0) ok=$((ok + 1)) ;;
        3) regressed=$((regressed + 1)) ;;
        4) inconclusive=$((inconclusive + 1)) ;;
        *) exit "$code" ;;
        esac
    done
    printf '%s: %d trials of %s s: %d OK, %d REGRESSED, %d INCONCLUSIVE\n' "$label" "$trials" "$seconds" "$ok" "$regressed" "$inconclusive"
    # The shift of each phase, the median over the trials.
    cat "$scratch/$label"-*.json | grep -o '"shift_pct":[-0-9.e]*' | sed 's/.*://' | sort -g |
        awk '{ v[NR] = $1 } END { if (NR) printf "  shifts in percent: %.2f to %.2f, median %.2f\n", v[1], v[NR], v[int((NR + 1) / 2)] }'
}

count "$mithril" itself "$@"
if [ -x "$planted" ]; then
    count "$planted" slower "$@"
else
    echo "no $planted: make compare-trials builds one"
fi
