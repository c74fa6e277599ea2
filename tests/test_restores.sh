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

# The same weights in another format serve as a base: every chunk of tensors is a copy, the one of headers is left.
copies_all() {
    restores_against "$1" "$2" "$3" &&
        "$mithril" compress -q -f -b "$2" -o "$dir/packed" --json "$dir/json" "$1" && cat "$dir/json" &&
        n=$(sed 's/.*"n_chunks":\([0-9]*\).*/\1/' "$dir/json") && [ "$n" -gt 1 ] &&
        grep -q "\"n_chunks_copied\":$((n - 1))," "$dir/json"
}

weights=tests/fixtures/torch/torch2-state_dict
"$mithril" compress -q -f -o "$dir/pt.mth" $weights.pt
"$mithril" compress -q -f -o "$dir/safetensors.mth" $weights.safetensors
judge weights_of_pytorch_are_a_base_for_safetensors copies_all $weights.safetensors $weights.pt $weights.pt
judge weights_in_safetensors_are_a_base_for_pytorch restores_against $weights.pt $weights.safetensors $weights.safetensors
judge a_container_of_pytorch_is_a_base_for_safetensors copies_all $weights.safetensors "$dir/pt.mth" $weights.pt
judge coded_against_pytorch_restores_against_a_container_of_safetensors \
    restores_against $weights.safetensors $weights.pt "$dir/safetensors.mth"
