#!/bin/sh
# bench-kernels: every kernel gives right results, and has a row. Times are not looked at.
set -u

program=${MITHRIL_BUILD:-build}/bench-kernels
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
ok() { echo "ok $1"; }
not_ok() {
    echo "not ok $1"
    failed=1
}

"$program" --elems 4096 --rounds 2 --json "$dir/rows.jsonl" >"$dir/table" 2>"$dir/error"
status=$?
if [ $status -eq 0 ] && [ ! -s "$dir/error" ]; then ok kernels_give_right_results; else not_ok kernels_give_right_results; fi

# A line of the table a row, below two lines of heads.
n_rows=$(grep -c '"kind":"kernel"' "$dir/rows.jsonl")
n_lines=$(($(wc -l <"$dir/table") - 2))
if [ "$n_rows" -gt 20 ] && [ "$n_rows" -eq "$n_lines" ]; then ok every_kernel_has_a_row; else not_ok every_kernel_has_a_row; fi
if [ "$(grep -c '"kind":"env"' "$dir/rows.jsonl")" -eq 1 ]; then ok rows_stand_under_one_machine; else not_ok rows_stand_under_one_machine; fi

if MTH_DISABLE_CPU=all "$program" --elems 4096 --rounds 1 --only rans >"$dir/table" && ! grep -q avx "$dir/table"; then
    ok disabled_features_are_not_timed
else
    not_ok disabled_features_are_not_timed
fi

"$program" --elems x >/dev/null 2>&1
if [ $? -eq 1 ]; then ok nonsense_is_a_usage_error; else not_ok nonsense_is_a_usage_error; fi
exit $failed
