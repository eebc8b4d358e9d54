#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# metatrain report: every form has the same numbers, names of users stand for themselves, the page holds up in a browser,
# bad input is one sentence.
source tests/lib.sh

hostile='<script>alert(1)</script> | & " _ % $ \\ label'
cat >"$SCRATCH/suite.yaml" <<EOF
seed: 1
steps: 20
seeds: 2
every: 5
batches: 1
last_batches: 2
sweep: [0.001, 0.01]
tasks:
  - {task: image_mlp, dataset: fashion_mnist, image_size: 8, hidden: [8], batch_size: 16}
  - {task: image_mlp, dataset: fashion_mnist, image_size: 8, hidden: [16], batch_size: 16}
optimizers:
  - {name: adam, learning_rate: sweep}
  - {name: sgd, learning_rate: 0.1, label: '$hostile'}
EOF
eval=$SCRATCH/eval
run=$SCRATCH/run
"$METATRAIN" train configs/quickstart.yaml --out "$run" --set outer.steps=6 --set particles=2 --set estimator.window=5 \
    >"$SCRATCH/train.log" 2>&1 || die "training ended with status $?"
"$METATRAIN" eval --suite "$SCRATCH/suite.yaml" --no-untrained "$run/theta.h5" --out "$eval" >"$SCRATCH/eval.log" 2>&1 ||
    die "evaluation ended with status $?"

# ---- the page: complete, the same bytes again, nothing from elsewhere, labels escaped ---------------------

page=$SCRATCH/report.html
for file in "$page" "$SCRATCH/again.html"; do
    "$METATRAIN" report "$eval" "$run" --out "$file" >"$SCRATCH/report.log" 2>&1 || die "report ended with status $?"
    [ ! -s "$SCRATCH/report.log" ] || fail "report says: $(head -n 3 "$SCRATCH/report.log")"
done
cmp "$page" "$SCRATCH/again.html" || fail "two reports of the same numbers differ"
for heading in Summary Generalisation Tasks 'Training curves' 'Sensitivity to the learning rate' Cost 'What failed' \
    'How it was made' Meta-training; do
    grep -q "<h2 id=\"b[0-9]*\">$heading</h2>" "$page" || fail "the page has no section $heading"
done
! grep -qE '<script|(src|href)="[^#]|url\(|@import' "$page" || fail "the page has a script or loads something"
grep -qF '&lt;script&gt;alert(1)&lt;/script&gt; | &amp; &quot; _ % $ \\ label' "$page" || fail "a label is not as it was given"
figures=$(grep -c '<figure>' "$page")
[ "$figures" -eq "$(ls "$SCRATCH"/report_figures/*.svg | wc -l)" ] || fail "$figures figures, but other files beside the page"
[ "$figures" -eq 8 ] || fail "$figures figures, expected 2 profiles, sizes, 2 curves, 2 sweeps, meta-loss"
[ "$(grep -o ' id=["'"'"'][^"'"'"']*' "$page" | sort | uniq -d | wc -l)" -eq 0 ] || fail "an id stands twice in the page"

mkdir "$SCRATCH/no-programs"
PATH=$SCRATCH/no-programs "$METATRAIN" report "$eval" --out "$SCRATCH/plain.html" >"$SCRATCH/output" 2>&1 ||
    fail "without gnuplot: status $?"
grep -q 'warning: .*gnuplot' "$SCRATCH/output" || fail "no warning about gnuplot"
grep -q 'not drawn' "$SCRATCH/plain.html" || fail "the page does not say that figures are missing"

# ---- the tables: the numbers of the table that eval printed -----------------------------------------------

for form in markdown csv latex; do
    gives 0 'Summary|optimizer' report "$eval" "$run" --format "$form"
    cp "$SCRATCH/output" "$SCRATCH/report.$form"
done
numbers=$(grep '^adam ' "$SCRATCH/eval.log" | grep -oE '[0-9.]+±[0-9.]+' | head -n 6)
[ "$(wc -w <<<"$numbers")" -eq 6 ] || fail "six losses expected in: $numbers"
for number in $numbers; do
    grep -qF "$number" "$SCRATCH/report.markdown" || fail "Markdown lacks $number"
    grep -qF "${number/±/,}" "$SCRATCH/report.csv" || fail "CSV lacks ${number/±/,}"
    grep -qF "${number/±/\$\\pm\$}" "$SCRATCH/report.latex" || fail "LaTeX lacks $number"
    grep -qF "${number/±/<span class=\"e\">±}" "$page" || fail "the page lacks $number"
done
grep -qF '"<script>alert(1)</script> | & "" _ % $ \\ label"' "$SCRATCH/report.csv" || fail "CSV: the label is not quoted"
grep -qF '&lt;script>alert(1)&lt;/script> \| &amp; " \_ % $ \\\\ label' "$SCRATCH/report.markdown" ||
    fail "Markdown: the label is not escaped"
if kpsewhich booktabs.sty >/dev/null 2>&1; then
    printf '%s\n' '\documentclass{article}' '\usepackage[utf8]{inputenc}' '\usepackage{booktabs}' '\begin{document}' \
        '\input{report.latex}' '\end{document}' >"$SCRATCH/page.tex"
    (cd "$SCRATCH" && pdflatex -interaction=nonstopmode -halt-on-error page.tex >latex.out 2>&1) ||
        fail "LaTeX: $(grep -m1 '^!' "$SCRATCH/latex.out")"
fi

# ---- bad input: status 2, one sentence, no page -----------------------------------------------------------

refuse() { # WHAT ARGUMENT...
    local what=$1 status=0
    shift
    "$METATRAIN" report "$@" --out "$SCRATCH/refused.html" >"$SCRATCH/output" 2>&1 || status=$?
    [ "$status" -eq 2 ] || fail "report $*: status $status: $(tail -n 1 "$SCRATCH/output")"
    [ "$(grep -c '^metatrain' "$SCRATCH/output")" -eq 1 ] || fail "report $*: not one sentence"
    grep -qF -- "$what" "$SCRATCH/output" || fail "report $*: does not say $what: $(head -n 1 "$SCRATCH/output")"
    [ ! -e "$SCRATCH/refused.html" ] || fail "report $*: left a page"
}
changed() { # NAME SED-SCRIPT: the folder NAME has results.json after the script
    mkdir -p "$SCRATCH/$1"
    sed -E "$2" "$eval/results.json" >"$SCRATCH/$1/results.json"
    ! cmp -s "$eval/results.json" "$SCRATCH/$1/results.json" || fail "$1: the script changes nothing"
}
refuse 'no such file or folder' "$SCRATCH/nothing"
refuse 'neither results.json nor metrics.jsonl' "$SCRATCH/no-programs"
refuse 'found "pdf", expected html' "$eval" --format pdf
changed cut '200,$d'
refuse 'cut/results.json:' "$SCRATCH/cut"
changed seeds 's/^ "seeds": 2/ "seeds": 1000000000000/'
refuse 'results.json: tasks: ' "$SCRATCH/seeds"
changed fewer 's/^ "seeds": 2/ "seeds": 1/'
refuse 'expected a list for every seed' "$SCRATCH/fewer"
changed steps 's/^ "steps": 20/ "steps": "many"/'
refuse 'steps: found "many", expected a whole number above 0' "$SCRATCH/steps"
changed label 's/"label": "adam"/"label": 3/'
refuse 'label: found 3' "$SCRATCH/label"
changed number 's/"parameters": [0-9]+/"parameters": -1/'
refuse 'parameters: found -1' "$SCRATCH/number"
cp -r "$run" "$SCRATCH/broken-run"
echo '{"outer_step": "one"}' >"$SCRATCH/broken-run/metrics.jsonl"
refuse 'metrics.jsonl:1:' "$eval" "$SCRATCH/broken-run"
: >"$SCRATCH/broken-run/metrics.jsonl"
refuse 'no outer step' "$SCRATCH/broken-run"
gives 2 'RESULTS or RUNS are missing' report
gives 2 'out is missing' report "$eval"

# ---- in a browser: no complaint, every figure in view, no scrolling sideways, printable ---------------------

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ "$failures" -eq 0 ] || exit 1
[ -z "${SANITIZE-}" ] || skip "the browser: the page is the same for every build"
[ -n "$browser" ] || skip "no Chromium (Debian: chromium)"
look() { # OPTION... PAGE
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$SCRATCH/profile" --enable-logging=stderr \
        "$@" 2>"$SCRATCH/browser.log" || die "$browser ended with status $?"
    ! grep CONSOLE "$SCRATCH/browser.log" || fail "the browser complains"
}
for width in 380 1400; do
    cat >"$SCRATCH/frame.html" <<EOF
<body style="margin:0"><iframe src="report.html" style="border:0;width:${width}px;height:900px"></iframe><script>
onload = () => {
  const page = frames[0].document, w = frames[0].innerWidth;
  const seen = [...page.querySelectorAll('figure svg')].filter(s => {
    const b = s.getBoundingClientRect();
    return b.width > 250 && b.height > 150 && b.left >= 0 && b.right <= w && s.querySelectorAll('text').length > 5;
  }).length;
  const loaded = frames[0].performance.getEntriesByType('resource').length;
  const wide = page.documentElement.scrollWidth;
  document.title = (wide <= w ? 'fits' : 'is ' + wide + ' wide') + ', seen ' + seen + ', loaded ' + loaded;
}</script>
EOF
    look --allow-file-access-from-files --window-size=1500,1000 --dump-dom "file://$SCRATCH/frame.html" >"$SCRATCH/dom"
    grep -qF "<title>fits, seen $figures, loaded 0</title>" "$SCRATCH/dom" ||
        fail "at $width pixels: $(grep -o '<title>[^<]*' "$SCRATCH/dom"), expected $figures figures"
done
look --print-to-pdf="$SCRATCH/report.pdf" "file://$page"
[ "$(head -c 5 "$SCRATCH/report.pdf")" = "%PDF-" ] || fail "it cannot be printed"

[ "$failures" -eq 0 ]
