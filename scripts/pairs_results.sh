#!/bin/sh
# Every preset on every pair of datasets/pairs_matrix.json that is here: rows, table and figures.
#
#   scripts/pairs_results.sh FOLDER [ROWS.jsonl]
#
# Measures, or takes the rows of an earlier call, and writes to FOLDER: rows.jsonl (of `balanced` and `max`, the verdicts on ratios and
# their runs), ratios.csv (of all), table.md, older.md (pairs with an older base beside the same without), ratio_changed.* and ratio_steps.*. These are sizes: passes are few and in cache, as rows say.
#   MITHRIL  the program (default build/mithril)     MATRIX  (default datasets/pairs_matrix.json)
set -eu

mithril=${MITHRIL:-build/mithril}
if [ $# -lt 1 ]; then
    echo "usage: $0 FOLDER [ROWS.jsonl]" >&2
    exit 2
fi
out=$1
mkdir -p "$out"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ $# -gt 1 ]; then
    rows=$2
else
    rows=$scratch/rows.jsonl
    "$mithril" bench -q --matrix "${MATRIX:-datasets/pairs_matrix.json}" --rounds 1 --seconds 0.1 --cache 1MiB --json "$rows" >/dev/null
fi

# Verdicts name cells of the pipeline that came out best, which is `balanced` or `max`.
grep -E '"kind":"(env|run)"|"kind":"verdict".*"target":"ratio"|"kind":"cell".*"spec":"(balanced|max)".*"phase":"compress"' "$rows" >"$out/rows.jsonl"

awk '
function value(name) { return match($0, "\"" name "\":(\"[^\"]*\"|[^,}]*)") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) : "" }
BEGIN { n = split("dataset class steps_apart lr fraction_changed spec raw_bytes stored_bytes ratio bound_ratio bound_model verified older", names, " ")
        for (i = 1; i <= n; i++) printf("%s%s", names[i], i < n ? "," : "\n") }
/"kind":"cell"/ && /"phase":"compress"/ {
    for (i = 1; i <= n; i++) { text = value(names[i]); gsub(/"|null/, "", text); printf("%s%s", text, i < n ? "," : "\n") }
}' "$rows" >"$out/ratios.csv"

# Lines are drawn over pairs whose runs train all their weights: where rows or layers rest, changes lie together, and a line would jump.
grep -vE '"dataset":"(recommender|gpt-frozen|gpt-tied|gpt-sgd|[^"]*fp32|chgnet|sevennet|silero)' "$rows" >"$scratch/dense.jsonl"
"$mithril" report -q -o "$scratch/report" "$scratch/dense.jsonl"
for figure in ratio_changed ratio_steps; do
    [ ! -e "$scratch/report/$figure.svg" ] ||
        cp "$scratch/report/$figure.svg" "$scratch/report/$figure.gp" "$scratch/report/$figure.dat" "$out/"
done

# A line a pair, by what changed; the run's ratio is that of the pipeline which the verdict names.
awk '
function text(name) { return match($0, "\"" name "\":\"[^\"]*\"") ? substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5) : "" }
function number(name) { return match($0, "\"" name "\":[-0-9.e+]+") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) : "" }
function ratio(x) { return x == "" ? "-" : sprintf("%.3f", x) }
/"older":"/ { next }
/"kind":"verdict"/ && /"target":"ratio"/ { run[text("dataset")] = number("run_ratio"); n_run[text("dataset")] = number("run_checkpoints") }
/"kind":"cell"/ && /"phase":"compress"/ && /"verified":true/ {
    id = text("dataset")
    if (!(id in changed)) { ids[++n] = id; changed[id] = number("fraction_changed"); steps[id] = number("steps_apart"); lr[id] = number("lr") }
    bound[id] = number("bound_ratio"); model[id] = text("bound_model"); of[id, text("spec")] = number("ratio")
}
END {
    n_specs = split("seed lmc zipnn bitx sparse-sync check-n-run fast max balanced", specs, " ")
    for (i = 1; i <= n; i++) {
        id = ids[i]
        printf("%s\t| `%s` | %s | %s | %s |", changed[id] == "" ? 2 : changed[id], id, steps[id] == "" ? "-" : steps[id], lr[id] == "" ? "-" : sprintf("%g", lr[id]),
            changed[id] == "" ? "-" : sprintf("%.2f %%", 100 * changed[id]))
        for (s = 1; s <= n_specs; s++)
            printf((specs[s] == "balanced" ? " **%s** |" : " %s |"), ratio(of[id, specs[s]]))
        # Another model has its name beside it.
        printf(" %s%s | %s | %s |\n", ratio(bound[id]), model[id] == "ulp-given-exponent" ? "" : " (" model[id] ")",
            bound[id] > 0 && of[id, "balanced"] ? sprintf("%.1f %%", 100 * of[id, "balanced"] / bound[id]) : "-",
            run[id] == "" ? "-" : sprintf("%.2f of %s", run[id], n_run[id]))
    }
}' "$rows" | sort -n | cut -f2- >"$scratch/lines"
{
    echo "| pair | steps apart | lr | changed | \`seed\` | \`lmc\` | \`zipnn\` | \`bitx\` | \`sparse-sync\` | \`check-n-run\` | \`fast\` | \`max\` | \`balanced\` | bound | of it | whole run |"
    echo "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    cat "$scratch/lines"
} >"$out/table.md"
cat "$out/table.md"

# A line for each pair that was measured with an older base and without: `balanced`, everything counted.
awk '
function text(name) { return match($0, "\"" name "\":\"[^\"]*\"") ? substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5) : "" }
function number(name) { return match($0, "\"" name "\":[-0-9.e+]+") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) : "" }
/"kind":"cell"/ && /"spec":"balanced"/ && /"phase":"compress"/ && /"verified":true/ {
    id = text("dataset")
    stored[id] = number("stored_bytes"); ratio[id] = number("ratio"); bound[id] = number("bound_ratio"); changed[id] = number("fraction_changed")
    if (/"older":"/) ids[++n] = id
}
END {
    print "| pair | changed | one base, bytes | two | saved | ratio | bound without, with direction |\n|---|---:|---:|---:|---:|---:|---:|"
    for (i = 1; i <= n; i++) {
        twin = ids[i]; sub(/-since-.*/, "", twin)
        if (twin in stored)
            printf("| `%s` | %.2f %% | %d | %d | %.2f %% | %.2f, %.2f | %.2f, %.2f |\n", ids[i], 100 * changed[ids[i]], stored[twin], stored[ids[i]],
                100 * (1 - stored[ids[i]] / stored[twin]), ratio[twin], ratio[ids[i]], bound[twin], bound[ids[i]])
    }
}' "$rows" >"$out/older.md"
cat "$out/older.md"
