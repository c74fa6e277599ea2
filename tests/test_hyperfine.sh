#!/bin/sh
# scripts/hyperfine.sh: times of command lines are appended as rows of a second kind of throughput, and a report has both kinds.
# Skipped where there is no hyperfine or no zstd.
set -u
cd "$(dirname "$0")/.." || exit 1
: "${MITHRIL:=build/mithril}"
for tool in hyperfine zstd; do
    if ! command -v "$tool" >/dev/null; then
        echo "skip command_lines_are_timed: needs $tool"
        exit 0
    fi
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
file=datasets/tiny-gpt/pretrain/pretrain-step-002010.safetensors
base=datasets/tiny-gpt/pretrain/pretrain-step-002001.safetensors

judge() {
    if "$1" >"$dir/log" 2>&1; then echo "ok $1"; else
        sed 's/^/# /' "$dir/log"
        echo "not ok $1"
    fi
}

count() { grep -c "$1" "$dir/rows.jsonl"; }

# Rows that have all of these words.
rows_with() {
    cp "$dir/rows.jsonl" "$dir/left"
    for word in "$@"; do
        grep -F -- "$word" "$dir/left" >"$dir/next" || true
        mv "$dir/next" "$dir/left"
    done
    wc -l <"$dir/left" | tr -d ' '
}

every_command_has_a_row_each_way() {
    MITHRIL=$MITHRIL ROWS=$dir/rows.jsonl RUNS=2 scripts/hyperfine.sh "$file" "$base" >"$dir/table" || return 1
    n_rows=$(count '"kind":"e2e"')
    for tool in 'mithril seed' 'mithril balanced' 'zstd -3'; do
        [ "$(rows_with "\"tool\":\"$tool\"" '"phase":"compress"' '"base":null')" -eq 1 ] || return 1
        [ "$(rows_with "\"tool\":\"$tool\"" '"phase":"decompress"' '"base":null')" -eq 1 ] || return 1
    done
    for tool in 'mithril seed' 'mithril balanced' 'zstd -3 --patch-from'; do
        [ "$(rows_with "\"tool\":\"$tool\"" "\"base\":\"$(basename "$base")\"")" -eq 2 ] || return 1
    done
    [ "$(rows_with "\"raw_bytes\":$(wc -c <"$file" | tr -d ' ')")" -eq "$n_rows" ]
}

what_is_stored_is_what_the_tool_wrote() {
    "$MITHRIL" compress "$file" -q -p seed -o "$dir/p.mth" &&
        [ "$(rows_with '"tool":"mithril seed"' '"base":null' "\"stored_bytes\":$(wc -c <"$dir/p.mth" | tr -d ' '),")" -eq 2 ]
}

a_second_run_is_appended_to_the_rows_that_are_there() {
    cp "$dir/rows.jsonl" "$dir/before"
    MITHRIL=$MITHRIL ROWS=$dir/rows.jsonl RUNS=2 scripts/hyperfine.sh "$file" >/dev/null || return 1
    head -n "$(wc -l <"$dir/before")" "$dir/rows.jsonl" | cmp - "$dir/before" &&
        [ "$(count '"kind":"e2e"')" -gt "$n_rows" ]
}

a_report_has_both_kinds_of_throughput() {
    "$MITHRIL" bench "$file" -p store --rounds 2 --seconds 0 --cache 64KiB -q --json "$dir/cells.jsonl" >/dev/null || return 1
    cat "$dir/cells.jsonl" >>"$dir/rows.jsonl"
    "$MITHRIL" report "$dir/rows.jsonl" >"$dir/report" || return 1
    # shellcheck disable=SC2016 # Markdown's backquotes
    grep -q '^| `store` |' "$dir/report" && sed -n '/^## File to file/,$p' "$dir/report" | grep -q 'zstd -3 --patch-from'
}

n_rows=0
judge every_command_has_a_row_each_way
judge what_is_stored_is_what_the_tool_wrote
judge a_second_run_is_appended_to_the_rows_that_are_there
judge a_report_has_both_kinds_of_throughput
