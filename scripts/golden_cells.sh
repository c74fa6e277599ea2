# shellcheck shell=sh
# The cells of tests/golden/sizes.jsonl, as arguments of bench: sourced.
set -- tiny-gpt tiny-gpt/pretrain-1 tiny-gpt/pretrain-10 tiny-gpt/finetune-1e-5 tiny-gpt/finetune-1e-6 \
    -p fast -p balanced -p max -p seed
