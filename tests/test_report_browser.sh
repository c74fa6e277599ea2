#!/bin/sh
# The page of `mithril report --html` in a real browser: its script runs, a click on a head sorts, nothing is fetched. Skipped where
# there is no Chromium, or no gnuplot.
set -u
cd "$(dirname "$0")/.." || exit 1
mithril=${MITHRIL:-build/mithril}
browser=
for name in chromium chromium-browser google-chrome; do
    if [ -z "$browser" ] && command -v "$name" >/dev/null; then browser=$name; fi
done
if [ -z "$browser" ] || ! command -v gnuplot >/dev/null; then
    printf '[ RUN      ] the_page_in_a_browser\n[  SKIPPED ] the_page_in_a_browser: needs chromium and gnuplot\n'
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

judge() {
    name=$1
    shift
    if "$@" >"$dir/log" 2>&1; then echo "ok $name"; else
        sed 's/^/# /' "$dir/log"
        echo "not ok $name"
    fi
}

# What a page of the browser is when its scripts have run.
dump() {
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$dir/profile" --dump-dom "file://$1" 2>/dev/null
}

# The page as the browser has it after clicks on the head of the second column of the first table.
dom() {
    clicks=$1
    sed "s|</body>|<script>for(var i=0;i<$clicks;i++)document.querySelectorAll('table th')[1].click()</script></body>|" \
        "$dir/page.html" >"$dir/clicked.html"
    dump "$dir/clicked.html" >"$dir/dom$clicks"
}

# How much a page wanted from elsewhere, and how much of it its own policy forbade: "wanted N forbidden N".
fetched() {
    sed "s|<head>|<head><script>var n=0;document.addEventListener('securitypolicyviolation',function(){n++})</script>|
        s|</body>|<script>addEventListener('load',function(){document.title='wanted '+\
performance.getEntriesByType('resource').length+' forbidden '+n})</script></body>|" "$1" >"$dir/watched.html"
    dump "$dir/watched.html" | sed -n 's/.*<title>\(wanted [0-9]* forbidden [0-9]*\)<.*/\1/p'
}

# The ratios of the first table, in the order of its rows.
ratios() {
    tr '\n' ' ' <"$dir/dom$1" | sed 's/<tr>/\n<tr>/g; s/<\/table>/\n<\/table>\n/g' |
        awk '/<\/table>/ && n { exit } /data-v/ { n++; sub(/.*<\/code><\/td><td class="n" data-v="/, ""); sub(/".*/, ""); print }'
}

a_click_sorts_and_another_the_other_way() {
    dom 1 && dom 2 || return 1
    ratios 1 >"$dir/up"
    ratios 2 >"$dir/down"
    [ "$(wc -l <"$dir/up")" -ge 2 ] || return 1
    sort -g "$dir/up" | cmp - "$dir/up" && sort -gr "$dir/down" | cmp - "$dir/down"
}

the_figures_are_in_the_page() {
    grep -q '<svg' "$dir/dom1" && grep -q 'aria-sort="ascending"' "$dir/dom1" && grep -q 'aria-sort="descending"' "$dir/dom2"
}

nothing_is_fetched() {
    # A page that does want something is seen to do so: forbidden by its policy, and not without one.
    sed 's|</body>|<img src="http://127.0.0.1:9/x.png"></body>|' "$dir/page.html" >"$dir/wants.html"
    sed 's|<meta http-equiv=Content-Security-Policy[^>]*>||' "$dir/wants.html" >"$dir/open.html"
    of_page=$(fetched "$dir/page.html") of_wants=$(fetched "$dir/wants.html") of_open=$(fetched "$dir/open.html")
    echo "$of_page, $of_wants, $of_open"
    [ "$of_page" = 'wanted 0 forbidden 0' ] && [ "$of_wants" = 'wanted 1 forbidden 1' ] && [ "$of_open" = 'wanted 1 forbidden 0' ]
}

"$mithril" report results/rows.jsonl -q --html "$dir/page.html" || exit 1
judge a_click_sorts_and_another_the_other_way a_click_sorts_and_another_the_other_way
judge the_figures_are_in_the_page the_figures_are_in_the_page
judge nothing_is_fetched nothing_is_fetched
