#!/bin/sh
# Files that PyTorch, old and new, and safetensors wrote go through compress and decompress, and cmp stays silent; alone, and
# with a container and a file as base. One law for each file.
set -u
cd "$(dirname "$0")/.." || exit 1
mithril=${MITHRIL:-build/mithril}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# judge NAME COMMAND...: one line, ok when the command succeeds.
judge() {
    name=$1
    shift
    if "$@" >"$dir/log" 2>&1; then echo "ok $name"; else
        sed 's/^/# /' "$dir/log"
        echo "not ok $name"
    fi
}

restores() {
    rm -f "$dir/packed" "$dir/back"
    "$mithril" compress -q -f -o "$dir/packed" "$1" && "$mithril" decompress -q -f -o "$dir/back" "$dir/packed" && cmp "$1" "$dir/back"
}

restores_against() {
    rm -f "$dir/packed" "$dir/back"
    "$mithril" compress -q -f -b "$2" -o "$dir/packed" "$1" &&
        "$mithril" decompress -q -f -b "$3" -o "$dir/back" "$dir/packed" && cmp "$1" "$dir/back"
}

for file in tests/fixtures/torch/torch* datasets/tiny-gpt/*/*.safetensors Makefile; do
    judge "$(basename "$file")_restores" restores "$file"
done

run=datasets/tiny-gpt/finetune-1e-5
old=$run/finetune-1e-5-step-000100.safetensors new=$run/finetune-1e-5-step-000101.safetensors
"$mithril" compress -q -f -o "$dir/old.mth" "$old"
judge a_step_restores_against_the_file_before restores_against "$new" "$old" "$old"
judge a_step_restores_against_a_container_of_the_file_before restores_against "$new" "$old" "$dir/old.mth"
judge a_step_coded_against_a_container_restores_against_its_file restores_against "$new" "$dir/old.mth" "$old"
