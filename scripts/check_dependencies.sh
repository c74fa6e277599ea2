#!/bin/sh
# Check the rules that a compiler does not: who may include whom, who may read clocks and print, what every folder tells.
# usage: check_dependencies.sh [ROOT]      (default: the tree this script lies in)
#
# 1 layers    base <- codecs, transforms, formats <- pipeline <- harness, datasets; no include goes the other way
# 2 libraries the header of a third-party library is included by one file of the tree (cmocka's by every test)
# 3 clocks    only harness/, datasets/, tests/, examples/ read clocks or print
# 4 readmes   every folder has a README.md that names each of its files on a line, and none that is not there
# 5 size      no file over 4 MiB; what is no source and no page, 16 MB in all
# 6 leftovers no words that put work off
# 7 links     a page's links lead to a file or a folder of the tree, and to a heading that is there
# One line a violation, as FILE:LINE: what is wrong. Exit status 1 when there is any.
set -eu

cd "${1:-$(dirname "$0")/..}"
violations=$(mktemp)
trap 'rm -f "$violations"' EXIT

# What is or may be committed; without git (an unpacked archive), what is not built or fetched.
list_files() {
    if git rev-parse --git-dir >/dev/null 2>&1 && [ -z "$(git rev-parse --show-prefix)" ]; then
        git ls-files --cached --others --exclude-standard
    else
        find . \( -name .git -o -path ./build -o -path ./fixtures -o -name __pycache__ \) -prune -o -type f -print | sed 's|^\./||'
    fi | while IFS= read -r file; do
        [ ! -f "$file" ] || printf '%s\n' "$file"
    done | sort
}
files=$(list_files)
matching() { printf '%s\n' "$files" | grep -E "$1" || true; }

c_files=$(matching '^(base|codecs|transforms|formats|pipeline|harness|datasets|tests|examples)/.*\.(c|h|def)$')

# Rules 1 to 3, on the code without its comments and strings.
check_code() {
    # shellcheck disable=SC2086 # no name of ours has a space
    awk '
        BEGIN {
            split("base:base;codecs:base codecs;transforms:base transforms;formats:base formats;" \
                  "pipeline:base codecs transforms formats pipeline;" \
                  "harness:base codecs transforms formats pipeline harness datasets;" \
                  "datasets:base codecs transforms formats pipeline harness datasets", rows, ";")
            for (i in rows) {
                split(rows[i], row, ":")
                n = split(row[2], words, " ")
                for (j = 1; j <= n; j++) may[row[1], words[j]] = 1
                layered[row[1]] = 1
            }
            # C11, POSIX, Linux, and what comes with the compiler.
            n = split("assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg " \
                      "stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype " \
                      "aio cpio dirent dlfcn fcntl fmtmsg fnmatch ftw glob grp iconv langinfo libgen monetary mqueue ndbm net/if " \
                      "netdb netinet/in netinet/tcp arpa/inet nl_types poll pthread pwd regex sched search semaphore spawn " \
                      "strings stropts syslog tar termios ulimit unistd utime utmpx wordexp " \
                      "immintrin x86intrin emmintrin cpuid arm_neon arm_sve", words, " ")
            for (i = 1; i <= n; i++) standard[words[i] ".h"] = 1
            word = "(^|[^A-Za-z0-9_])"
            banned = word "(clock_gettime|gettimeofday|timespec_get|time|clock|times|getrusage|__rdtscp?|printf|fprintf|vprintf|" \
                     "vfprintf|dprintf|vdprintf|puts|fputs|putchar|putc|fputc|perror) *\\(|" word "(stdout|stderr|STDOUT_FILENO|" \
                     "STDERR_FILENO)([^A-Za-z0-9_]|$)"
        }
        function violation(text) { print FILENAME ":" FNR ": " text }
        # The line without comments and without what stands in quotes.
        function bare(line,    out, c, two, i, quote) {
            out = ""
            quote = ""
            for (i = 1; i <= length(line); i++) {
                c = substr(line, i, 1)
                two = substr(line, i, 2)
                if (in_comment) {
                    if (two == "*/") { in_comment = 0; i++ }
                } else if (quote != "") {
                    if (c == "\\") i++
                    else if (c == quote) quote = ""
                } else if (two == "/*") {
                    in_comment = 1
                    i++
                } else if (two == "//") {
                    break
                } else if (c == "\"" || c == "\047") {
                    quote = c
                } else {
                    out = out c
                }
            }
            return out
        }
        FNR == 1 {
            in_comment = 0
            layer = FILENAME
            sub(/\/.*/, "", layer)
        }
        !in_comment && /^[ \t]*#[ \t]*include[ \t]*"/ {
            name = $0
            sub(/^[^"]*"/, "", name)
            sub(/".*/, "", name)
            from = name
            sub(/\/.*/, "", from)
            if (layer in layered && name != "config.h" && !((layer, from) in may))
                violation(layer "/ may not include \"" name "\"")
        }
        !in_comment && /^[ \t]*#[ \t]*include[ \t]*</ {
            name = $0
            sub(/^[^<]*</, "", name)
            sub(/>.*/, "", name)
            ours = layer == "examples" && name ~ /^mithril/
            tests = layer == "tests" && name == "cmocka.h"
            if (!(name in standard) && name !~ /^(sys|linux|asm|sanitizer)\// && !ours && !tests) {
                if (name in owner && owner[name] != FILENAME)
                    violation("<" name "> is included by " owner[name] " already; one file of the tree owns a library")
                owner[name] = FILENAME
            }
        }
        {
            code = bare($0)
            if (layer ~ /^(base|codecs|transforms|formats|pipeline)$/ && match(code, banned)) {
                what = substr(code, RSTART, RLENGTH)
                gsub(/^[^A-Za-z0-9_]|[^A-Za-z0-9_]+$/, "", what)
                violation(what ": only harness/ reads clocks and prints")
            }
        }' $c_files
}

# Rule 4: a file is named in the README.md of its folder, or of one above with the path from there; `name.[ch]` and
# `name.c`, `.h` name two.
named_in_readmes() {
    file=$1
    folder=$(dirname "$file")
    while [ "$folder" != . ]; do
        name=${file#"$folder/"}
        if [ -f "$folder/README.md" ] && grep -qwF -e "$name" -e "${name%.[ch]}.[ch]" \
            -e "${name%.h}.c\`, \`.h\`" "$folder/README.md"; then return 0; fi
        folder=$(dirname "$folder")
    done
    return 1
}

check_readmes() {
    for folder in $(matching / | cut -d / -f 1 | sort -u | grep -v '^\.'); do
        [ -f "$folder/README.md" ] || echo "$folder/README.md:1: missing; every folder opens with one line a file"
    done
    for file in $(matching '^[^.][^/]*/.*\.(c|h|def|sh|py|tsv|map)$'); do
        [ -f "${file%%/*}/README.md" ] || continue
        named_in_readmes "$file" || echo "$file:1: not named in $(dirname "$file")/README.md"
    done
    # Lists and tables of files: "- name.c", "| name.c |", and the same with backquotes.
    for readme in $(matching '^[^.][^/]*/.*README\.md$'); do
        # shellcheck disable=SC2016 # backquotes of Markdown
        grep -noE '^([-*]|\|) `?[A-Za-z0-9_./-]+\.(c|h|def|sh|py|tsv|map)\b' "$readme" | while IFS=: read -r line text; do
            name=${text#??}
            name=${name#\`}
            [ -e "$(dirname "$readme")/$name" ] || echo "$readme:$line: names $name, which is not there"
        done
    done
}

check_sizes() {
    # shellcheck disable=SC2086
    printf '%s\n' "$files" | tr '\n' '\0' | xargs -0 wc -c | awk '
        $2 == "total" && NF == 2 { next }
        $2 !~ /\.(c|h|def|md|py|sh|sbatch|map|in|1)$/ { data += $1 }
        $1 > 4194304 { print $2 ":1: " $1 " bytes; no file is larger than 4 MiB" }
        END { if (data > 16000000) print ".:1: " data " bytes of data in all; 16 MB is the limit" }'
}

check_leftovers() {
    # In two pieces, so that this line is not found.
    # shellcheck disable=SC2046
    grep -nwE 'TO''DO|FIX''ME|X''XX' $(matching '\.(c|h|def|sh|py|mk|json)$|^Makefile$|^\.ci/') /dev/null |
        sed -E 's/^([^:]*:[0-9]*):.*/\1: put off instead of done/' || true
}

# Rule 7, outside code. The word that leads to a heading is made as GitHub makes it.
check_links() {
    pages=$(matching '\.md$')
    [ -n "$pages" ] || return 0
    # shellcheck disable=SC2086
    printf '%s\n' "$files" | awk '
        function resolve(folder, target,    parts, n, i, kept, out) {
            n = split(folder target, parts, "/")
            kept = 0
            for (i = 1; i <= n; i++) {
                if (parts[i] == "..") {
                    if (kept == 0)
                        return "../" target
                    kept--
                } else if (parts[i] != "" && parts[i] != ".")
                    out[++kept] = parts[i]
            }
            target = kept ? out[1] : "."
            for (i = 2; i <= kept; i++)
                target = target "/" out[i]
            return target
        }
        FILENAME == "-" {
            is_there[$0]
            for (path = $0; sub("/[^/]*$", "", path);)
                is_there[path]
            is_there["."]
            next
        }
        FNR == 1 { fenced = 0 }
        /^```/ { fenced = !fenced }
        fenced { next }
        /^#+ / {
            word = tolower($0)
            sub(/^#+ */, "", word)
            gsub(/[^a-z0-9_ -]/, "", word)
            gsub(/ /, "-", word)
            heading[FILENAME "#" word]
        }
        {
            text = $0
            gsub(/`[^`]*`/, "`", text)
            while (match(text, /\]\([^) ]*\)/)) {
                target = substr(text, RSTART + 2, RLENGTH - 3)
                text = substr(text, RSTART + RLENGTH)
                if (target ~ /^[a-z]+:/)
                    continue
                at[++n_links] = FILENAME ":" FNR
                of[n_links] = FILENAME
                to[n_links] = target
            }
        }
        END {
            for (i = 1; i <= n_links; i++) {
                folder = of[i]
                if (!sub("/[^/]*$", "/", folder))
                    folder = ""
                path = word = to[i]
                sub(/#.*/, "", path)
                path = path == "" ? of[i] : resolve(folder, path)
                if (!(path in is_there))
                    print at[i] ": links to " to[i] ", which is not there"
                else if (sub(/^[^#]*#/, "", word) && path ~ /\.md$/ && !(path "#" word in heading))
                    print at[i] ": links to " to[i] ", which has no such heading"
            }
        }' - $pages
}

{
    check_code
    check_readmes
    check_sizes
    check_leftovers
    check_links
} >"$violations"
if [ -s "$violations" ]; then
    cat "$violations"
    echo "check_dependencies: $(wc -l <"$violations") violations"
    exit 1
fi
