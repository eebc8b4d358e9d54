#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Bad input gets one sentence on stderr and status 2, and nothing on disk changes. Each kind is tried on
# every command that reads such a thing, with --out at the folder of an earlier run, which must survive.
source tests/lib.sh
run=$SCRATCH/run
short=(--set outer.steps=2 --set particles=2 --set estimator.window=5)

# Everything in the scratch folder that a command might touch, names and contents.
fingerprint() {
    find "$SCRATCH" -path "$SCRATCH/std*" -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
    find "$SCRATCH" -type d | sort
}

# refused WHAT PATTERN ARGUMENT...: the command must print an error, in one line that matches PATTERN.
refused() {
    local what=$1 pattern=$2 status=0
    shift 2
    "${launch[@]}" "$METATRAIN" "$@" >"$SCRATCH/stdout" 2>"$SCRATCH/stderr" || status=$?
    [ "$status" -eq 2 ] || fail "$what: status $status, expected 2: metatrain $*"
    [ "$(wc -l <"$SCRATCH/stderr")" -eq 1 ] || fail "$what: not one line: $(cat "$SCRATCH/stderr")"
    grep -qE -e "^metatrain( [a-z]+)?: .*($pattern)" "$SCRATCH/stderr" || fail "$what: no /$pattern/ in: $(cat "$SCRATCH/stderr")"
    [ ! -s "$SCRATCH/stdout" ] || fail "$what: prints on stdout: $(head -n 3 "$SCRATCH/stdout")"
    [ "$(fingerprint)" = "$before" ] || fail "$what: files changed: $(diff <(echo "$before") <(fingerprint))"
}

config() { # NAME: a configuration from stdin
    cat >"$SCRATCH/$1"
}

# ---- good things, then bad ones made of them -------------------------------------------------------

launch=()
"$METATRAIN" train configs/quickstart.yaml --out "$run" "${short[@]}" >"$SCRATCH/train.log" 2>&1 ||
    { cat "$SCRATCH/train.log" >&2; exit 1; }
"$METATRAIN" train configs/quickstart.yaml --out "$SCRATCH/other" "${short[@]}" --set optimizer.hidden_size=8 >/dev/null 2>&1
theta=$run/theta.h5

config unknown-key.yaml <<<$'seed: 1\nestimator:\n  windwo: 5'
config wrong-type.yaml <<<$'seed: 1\nparticles: many'
config negative-size.yaml <<<$'tasks:\n  - task: image_mlp\n    batch_size: -3'
config no-data.yaml <<<$'tasks:\n  - dataset: '"$SCRATCH"'/nowhere'
config truncated-data.yaml <<<$'tasks:\n  - dataset: '"$SCRATCH"'/images'
config unknown-optimizer.yaml <<<$'optimizer:\n  name: smal-fc'
config truncated-theta.yaml <<<$'optimizer:\n  name: small-fc\n  hidden_size: 4\n  init: '"$SCRATCH"'/truncated.h5'
config other-theta.yaml <<<$'optimizer:\n  name: small-fc\n  hidden_size: 4\n  init: '"$SCRATCH"'/other/theta.h5'
config nan-theta.yaml <<<$'optimizer:\n  name: small-fc\n  hidden_size: 4\n  init: '"$SCRATCH"'/nan.h5'
config not-yaml.yaml <<<$'seed: [1\nparticles: 3'
: >"$SCRATCH/a-file"

head -c "$(($(wc -c <"$theta") / 2))" "$theta" >"$SCRATCH/truncated.h5"
mkdir "$SCRATCH/images"
cp /usr/share/datasets/fashion-mnist/* "$SCRATCH/images"
head -c 100000 /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz >"$SCRATCH/images/train-images-idx3-ubyte.gz"

# theta.h5 with a NaN: the float of the C header's first non-zero weight, found and replaced.
"$METATRAIN" export "$theta" --to c-header --out "$SCRATCH/theta.h" >/dev/null
perl -e '
    local $/; open F, "<", $ARGV[0]; $header = <F>; open F, "<:raw", $ARGV[1]; $file = <F>;
    for ($header =~ /(-?\d\.\d+(?:e-?\d+)?)f/g) {
        $at = index $file, pack("f<", $_);
        next if $at < 0 or pack("f<", $_) =~ /\0\0/;
        substr($file, $at, 4) = pack("f<", "nan");
        open F, ">:raw", $ARGV[2]; print F $file; exit 0;
    }
    die "no weight found"' "$SCRATCH/theta.h" "$theta" "$SCRATCH/nan.h5"

# Pipes that nobody writes to: not to be waited for.
mkfifo "$SCRATCH/pipe"
mkdir "$SCRATCH/pipes"
mkfifo "$SCRATCH"/pipes/{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz
config pipe-data.yaml <<<$'tasks:\n  - dataset: '"$SCRATCH"'/pipes'
config pipe-theta.yaml <<<$'optimizer:\n  init: '"$SCRATCH"'/pipe'

touch "$SCRATCH"/std{out,err}
before=$(fingerprint)

# ---- ten kinds ----------------------------------------------------------------------------------------

train() { # WHAT PATTERN CONFIG [ARGUMENT...]
    local what=$1 pattern=$2 file=$3
    shift 3
    refused "$what" "$pattern" train "$file" --out "$run" "$@"
}

train "unknown key" 'unknown-key\.yaml:3: .*windwo.*window' "$SCRATCH/unknown-key.yaml"
train "wrong type" 'wrong-type\.yaml:2: .*particles.*many' "$SCRATCH/wrong-type.yaml"
train "negative size" 'negative-size\.yaml:3: .*batch_size.*-3' "$SCRATCH/negative-size.yaml"
train "missing data" 'nowhere.*train-images' "$SCRATCH/no-data.yaml"
train "truncated gzip" 'images/train-images-idx3-ubyte\.gz: truncated' "$SCRATCH/truncated-data.yaml"
train "truncated HDF5" 'truncated\.h5: .*truncated' "$SCRATCH/truncated-theta.yaml"
train "theta of another optimizer" 'other/theta\.h5' "$SCRATCH/other-theta.yaml"
train "NaN in theta" 'nan\.h5: .*NaN' "$SCRATCH/nan-theta.yaml"
refused "unwritable output" 'a-file' train configs/quickstart.yaml "${short[@]}" --out "$SCRATCH/a-file/out"
train "unknown optimizer" 'unknown-optimizer\.yaml:2: .*smal-fc.*small-fc' "$SCRATCH/unknown-optimizer.yaml"

# Two ranks give one sentence too, also when every rank finds the mistake.
launch=(mpirun -q -n 2)
train "unknown key, 2 ranks" 'unknown-key\.yaml:3: ' "$SCRATCH/unknown-key.yaml"
train "truncated gzip, 2 ranks" 'train-images-idx3-ubyte\.gz: truncated' "$SCRATCH/truncated-data.yaml"
train "NaN in theta, 2 ranks" 'nan\.h5: .*NaN' "$SCRATCH/nan-theta.yaml"
launch=()

# ---- the same things given to other commands, and other slips -----------------------------------------

train "pipe for a configuration" 'pipe: is a pipe' "$SCRATCH/pipe"
train "pipes for data" 'pipes/.*: is not a file' "$SCRATCH/pipe-data.yaml"
train "pipe for theta" 'pipe: is not a file' "$SCRATCH/pipe-theta.yaml"
for format in flax safetensors pylo; do
    refused "import a pipe" 'pipe: ' import "$SCRATCH/pipe" --from $format --optimizer small-fc --out "$SCRATCH/imported.h5"
done
refused "replay a pipe" 'pipe: is not a file' replay "$SCRATCH/pipe"

# What a sentence quotes of a file cannot move the cursor or begin a line.
mkdir "$SCRATCH/escape"
cp "$theta" "$SCRATCH/escape/model.safetensors"
printf '{\033[2J\n\001' >"$SCRATCH/escape/config.json"
before=$(fingerprint)
refused "control characters in JSON" 'config\.json' import "$SCRATCH/escape" --from pylo --optimizer small-fc --out "$SCRATCH/imported.h5"
LC_ALL=C grep -q '[[:cntrl:]]' "$SCRATCH/stderr" && fail "control characters are printed: $(cat -v "$SCRATCH/stderr")"

# A pipe where a run that goes on has a file.
mv "$run/metrics.jsonl" "$SCRATCH/metrics.jsonl"
mkfifo "$run/metrics.jsonl"
before=$(fingerprint)
train "resume with a pipe for metrics" 'metrics\.jsonl: is not a file' configs/quickstart.yaml --resume "${short[@]}" --set outer.steps=3
rm "$run/metrics.jsonl"
mv "$SCRATCH/metrics.jsonl" "$run/metrics.jsonl"
before=$(fingerprint)
train "not YAML" 'not-yaml\.yaml:[0-9]' "$SCRATCH/not-yaml.yaml"
train "no such file" 'nothing\.yaml' "$SCRATCH/nothing.yaml"
train "--set, unknown key" 'estimator\.windwo' configs/quickstart.yaml --set estimator.windwo=5
train "--set, out of range" 'particles.*0' configs/quickstart.yaml --set particles=0
train "resume another run" 'particles' configs/quickstart.yaml --resume "${short[@]}" --set particles=3
for bad in truncated nan a-file nothing; do
    [ "$bad" = a-file ] && file=$SCRATCH/a-file || file=$SCRATCH/$bad.h5
    refused "show $bad" "$bad" show "$file"
    refused "export $bad" "$bad" export "$file" --to pylo --out "$SCRATCH/pylo"
    refused "eval $bad" "$bad" eval "$file" --out "$SCRATCH/eval"
    refused "replay $bad" "$bad" replay "$file"
done
refused "replay a theta file" 'theta\.h5' replay "$theta"
refused "export to an unwritable place" 'a-file' export "$theta" --to c-header --out "$SCRATCH/a-file/theta.h"
refused "eval to an unwritable place" 'a-file' eval "$theta" --out "$SCRATCH/a-file/eval"
refused "unknown suite" 'nothing\.yaml' eval "$theta" --suite "$SCRATCH/nothing.yaml"

[ "$failures" -eq 0 ]
