#!/bin/sh
# What of a training state is left over the steps between: bits a value, the bound beside, and what a log of gradients would cost.
#
#   scripts/states_curve.sh FOLDER RUN...
#
# Measures each pair of the runs (datasets of the manifest) with `balanced` and with no look at the optimizer, and writes rows.jsonl,
# states.dat, states.gp, states.svg (by gnuplot) and states.md to FOLDER. A log of k gradients is k times what one step takes, where those are of 16 bits.
set -eu

mithril=${MITHRIL:-build/mithril}
if [ $# -lt 2 ]; then
    echo "usage: $0 FOLDER RUN..." >&2
    exit 2
fi
out=$1
shift
mkdir -p "$out"
for run in "$@"; do
    for steps in 1 2 5 10 100; do
        echo "$run/${run#states-}-training-$steps"
    done
done | xargs "$mithril" bench -q -p balanced -p ulp-rans,exponent-split+rans/store --rounds 1 --seconds 0.1 \
    --json "$out/rows.jsonl" >/dev/null

# run, steps, bits a value of each pipeline, of the bound, of the log
awk '
function text(name) { return match($0, "\"" name "\":\"[^\"]*\"") ? substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5) : "" }
function number(name) { return match($0, "\"" name "\":[-0-9.e+]+") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0 : 0 }
/"kind":"cell"/ && /"phase":"compress"/ {
    id = text("dataset"); steps = number("steps_apart"); run = id; sub("/.*", "", run)
    key = run "\t" steps
    if (!(key in seen)) { seen[key] = 1; order[++n] = key }
    is_ours = (text("spec") == "balanced")
    bits[key, is_ours] = 32 / number("ratio")
    bound[key] = 32 / number("bound_ratio")
    if (steps == 1 && is_ours) one[run] = 32 / number("ratio")
}
END {
    for (i = 1; i <= n; i++) {
        split(order[i], part, "\t")
        if (part[1] != last) { if (last != "") printf "\n\n"; printf "# %s\n", part[1]; last = part[1] }
        limit = (part[2] > 1) ? sprintf("%.3f", bound[order[i]]) : "-"
        printf "%s\t%d\t%.3f\t%.3f\t%s\t%.3f\n", part[1], part[2], bits[order[i], 1], bits[order[i], 0], limit, part[2] * one[part[1]]
    }
}' "$out/rows.jsonl" >"$out/states.dat"

{
    echo "| run | steps apart | \`balanced\`, bits a value | without the optimizer | bound | of it | a log of gradients |"
    echo "|---|---:|---:|---:|---:|---:|---:|"
    awk -F'\t' 'NF == 6 { printf "| `%s` | %d | %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5, $5 == "-" ? "-" : sprintf("%.1f %%", 100 * $5 / $3), $6 }' "$out/states.dat"
} >"$out/states.md"

cat >"$out/states.gp" <<'GP'
# Drawn by gnuplot from states.dat: gnuplot THIS_FILE, in its directory.
set terminal svg size 620,480 font 'sans-serif,13' background '#ffffff'
set output 'states.svg'
set datafile separator '\t'
set datafile missing '-'
set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#cccccc'
set border 3
set tics nomirror
set logscale x
set xrange [0.8:130]
set yrange [0:32]
set xlabel 'training steps between the two'
set ylabel 'bits a value of w, m and v'
set key bmargin center horizontal maxcols 2 Left reverse samplen 2 height 1
GP
n=0
plot=
for run in "$@"; do
    plot="$plot${plot:+, }'states.dat' index $n using 2:3 with linespoints pointtype 7 linecolor $((n + 1)) title '$run' noenhanced"
    plot="$plot, '' index $n using 2:4 with linespoints pointtype 4 dashtype 2 linecolor $((n + 1)) title 'without the optimizer'"
    plot="$plot, '' index $n using 2:5 with points pointtype 2 linecolor $((n + 1)) title 'bound'"
    plot="$plot, '' index $n using 2:6 with lines dashtype 3 linecolor $((n + 1)) title 'a log of gradients'"
    n=$((n + 1))
done
echo "plot $plot" >>"$out/states.gp"
(cd "$out" && gnuplot states.gp)
cat "$out/states.md"
