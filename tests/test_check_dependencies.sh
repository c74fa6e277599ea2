#!/bin/sh
# shellcheck disable=SC2016,SC2026 # backquotes of Markdown, and words in two pieces so that they are not found here
# Laws of scripts/check_dependencies.sh: a small tree that keeps every rule passes, and each violation planted in it is found.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

# A tree that keeps the rules, with what looks like a violation but is none.
make_tree() {
    rm -rf "$tree/t"
    mkdir -p "$tree/t"
    cd "$tree/t"
    for folder in base codecs transforms formats pipeline harness tests; do
        mkdir "$folder"
        printf '# %s\n\n- `one.c`: a file\n' "$folder" >"$folder/README.md"
        printf '#include "base/one.h"\n#include <stdio.h>\n#include <sys/stat.h>\nint one;\n' >"$folder/one.c"
    done
    printf -- '- `one.h`: a header\n' >>base/README.md
    printf 'int one;\n' >base/one.h
    cat >codecs/one.c <<'C'
#include "codecs/one.c"
#include "config.h"
#include <zstd.h>
/* printf("in a comment"); time(NULL);
   puts("still in it") */
int one = sizeof "printf(x)" + '"'; // clock()
int two(void) { return snprintf(a, 1, "%d", 1) + mtime(3); }
C
    printf '#include "pipeline/one.c"\n#include "datasets/one.h"\nint x = printf("%%d", time(0));\n' >harness/one.c
    printf '#include <cmocka.h>\n' >tests/one.c
    mkdir tests/support
    printf '#include <cmocka.h>\n' >tests/support/two.c
    printf -- '- `support/two.c`: shared\n' >>tests/README.md
}

# law NAME PATTERN: the checker, run on the tree, fails with a line that matches; with no pattern it passes.
law() {
    if output=$("$root/scripts/check_dependencies.sh" "$tree/t" 2>&1); then status=0; else status=1; fi
    if { [ -z "$2" ] && [ $status = 0 ]; } || { [ -n "$2" ] && [ $status = 1 ] && echo "$output" | grep -q "$2"; }; then
        echo "ok $1"
    else
        echo "not ok $1"
        echo "$output" | sed 's/^/# /'
        failed=1
    fi
    make_tree
}

make_tree
law clean_tree_passes ''
for pair in base:codecs codecs:transforms codecs:pipeline transforms:formats formats:codecs pipeline:harness codecs:harness; do
    echo "#include \"${pair#*:}/one.h\"" >>"${pair%:*}/one.c"
    law "include_from_${pair%:*}_into_${pair#*:}_is_found" "^${pair%:*}/one.c:[0-9]*: .*may not include"
done
echo '#  include "pipeline/one.h"' >>codecs/codecs.def
# shellcheck disable=SC2016 # backquotes of Markdown
echo '- `codecs.def`: a table' >>codecs/README.md
law include_in_a_def_file_is_found '^codecs/codecs.def:1: .*may not include'
echo '#include <zstd.h>' >>formats/one.c
law second_owner_of_a_library_is_found '^formats/one.c:5: <zstd.h> is included by codecs/one.c'
echo '#include <zstd.h>' >>tests/one.c
law test_that_includes_a_library_is_found '^tests/one.c:2: <zstd.h>'
for call in 'printf("x");' 'fprintf(f, "x");' 'return time(NULL);' 'x = clock();' 'clock_gettime(c, &t);' 'gettimeofday(&t, 0);' \
    'puts("x");' 'f = stderr;' 'write(STDOUT_FILENO, p, 1);' 'vfprintf (f, x, y);' 'perror("x");' '/* a */ putchar(1);'; do
    name=$(echo "$call" | tr -c 'a-zA-Z\n' _)
    echo "$call" >>pipeline/one.c
    law "call_in_the_library_is_found_$name" '^pipeline/one.c:5: .*only harness/'
done
rm formats/README.md
law missing_readme_is_found '^formats/README.md:1: missing'
echo 'int x;' >formats/two.c
law file_that_no_readme_names_is_found '^formats/two.c:1: not named'
mkdir codecs/rans
echo 'int x;' >codecs/rans/two.c
law file_of_a_subfolder_that_no_readme_names_is_found '^codecs/rans/two.c:1: not named'
# shellcheck disable=SC2016
echo '| gone.c | was here |' >>base/README.md
law readme_that_names_a_missing_file_is_found '^base/README.md:5: names gone.c'
head -c 4194305 /dev/zero >base/data.bin
law file_over_4_mib_is_found '^base/data.bin:1: 4194305 bytes'
head -c 4194304 /dev/zero >base/data.bin
law file_of_4_mib_passes ''
for i in 1 2 3 4; do head -c 4194304 /dev/zero >base/data$i.bin; done
law data_over_16_mb_is_found '16 MB is the limit'
for word in TO''DO FIX''ME X''XX; do
    echo "int y; /* $word: later */" >>harness/one.c
    law "word_${word}_is_found" '^harness/one.c:4: put off'
done
echo 'name=/tmp/a.XX''XXXX' >>harness/one.c
law name_template_of_mktemp_passes ''
mkdir docs
printf -- '- `one.md`: a page\n' >docs/README.md
page='[a](../base/one.c) [b](../base/) [c](#two-words-one) [d](README.md) [e](https://a/b) `[f](gone)`'
printf '# One\n\n## Two `words`, one\n\n%s\n\n```\n[g](gone)\n```\n' "$page" >docs/one.md
cp -r docs "$tree/docs"
law links_that_lead_somewhere_pass ''
for link in one.c docs/README.md ../base/gone.c ../../t/base/one.c '#two' 'README.md#two' '../base/README.md#'; do
    cp -r "$tree/docs" .
    echo "[x](README.md) [y]($link)" >>docs/one.md
    law "link_to_${link}_is_found" "^docs/one.md:10: links to $link, which"
done
rm -r "$tree/docs"

exit $failed
