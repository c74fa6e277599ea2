#!/bin/sh
# Real comparisons, counted: a build with itself, and with a build that is slower by a part that is planted.
# usage: compare_trials.sh TRIALS [SECONDS] [-- BENCH-ARGUMENT...]      (default: 20 trials of 120 seconds)
#
# The two kinds take turns, so that both meet the same hours of the machine. KEEP=DIR keeps what each comparison wrote
# (--json), the times of all blocks in it; comparisons whose file is there already are counted and not made again.
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
scratch=${KEEP:-}
if [ -n "$scratch" ]; then
    mkdir -p "$scratch"
else
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
fi

# trial NEW LABEL NUMBER ARGUMENT...: one comparison of the build with NEW.
trial() {
    new=$1
    file=$scratch/$2-$3.json
    seed=$3
    shift 3
    [ ! -f "$file" ] || return 0
    code=0
    "$mithril" compare --run "$mithril" "$new" --seconds "$seconds" --seed "$seed" -q --json "$file.part" -- "$@" || code=$?
    case $code in
    0 | 3 | 4) mv "$file.part" "$file" ;;
    *) exit "$code" ;;
    esac
}

# verdicts LABEL VERDICT: how many comparisons came out so.
verdicts() {
    cat "$scratch/$1"-*.json | grep -c "\"kind\":\"compare\".*\"result\":\"$2\"" || true
}

# summary LABEL: the verdicts, and the shifts of all phases.
summary() {
    printf '%s: %d trials of %s s: %d OK, %d REGRESSED, %d INCONCLUSIVE\n' "$1" "$trials" "$seconds" \
        "$(verdicts "$1" OK)" "$(verdicts "$1" REGRESSED)" "$(verdicts "$1" INCONCLUSIVE)"
    cat "$scratch/$1"-*.json | grep -o '"shift_pct":[-0-9.e]*' | sed 's/.*://' | sort -g |
        awk '{ v[NR] = $1 } END { if (NR) printf "  shifts in percent: %.2f to %.2f, median %.2f\n", v[1], v[NR], v[int((NR + 1) / 2)] }'
}

[ -x "$planted" ] || echo "no $planted: make compare-trials builds one"
for number in $(seq 1 "$trials"); do
    trial "$mithril" itself "$number" "$@"
    [ ! -x "$planted" ] || trial "$planted" slower "$number" "$@"
done
summary itself
[ ! -x "$planted" ] || summary slower
