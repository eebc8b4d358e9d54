#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# import and export from the command line: what comes back and what is refused.
source tests/lib.sh

same() { # A.h5 B.h5
    [ "$(digest "$1")" = "$(digest "$2")" ] || fail "$1 and $2 differ"
}

# A theta that nobody drew: MessagePack of learnable-adam {log_epsilon, log_lr, one_minus_...}, by hand.
leaf() { # KEY FOUR-BYTES
    printf "\\x$(printf %x $((0xa0 + ${#1})))%s\\xd8\\x01\\x93\\x90\\xa7float32\\xc4\\x04$2" "$1"
}
{
    printf '\x84'
    leaf log_epsilon '\x00\x00\x80\x40'
    leaf log_lr '\x00\x00\x80\x3f'
    leaf one_minus_beta1 '\x00\x00\x00\x40'
    leaf one_minus_beta2 '\x00\x00\x40\x40'
} >"$SCRATCH/adam.state"

# ---- there and back ------------------------------------------------------------------------------------

gives 0 'adam.h5: optimizer learnable-adam, 4 numbers from .*adam.state' \
    import "$SCRATCH/adam.state" --from flax --optimizer learnable-adam --out "$SCRATCH/adam.h5"
gives 0 'imported_format: flax' show "$SCRATCH/adam.h5"
gives 0 'imported_from: .*adam.state' show "$SCRATCH/adam.h5"
gives 0 'no place in it' export "$SCRATCH/adam.h5" --to flax --out "$SCRATCH/adam2.state"
cmp "$SCRATCH/adam.state" "$SCRATCH/adam2.state" || fail "the exported tree is another file"
gives 0 'settings and provenance' export "$SCRATCH/adam.h5" --to safetensors --out "$SCRATCH/adam.safetensors"
gives 0 'learnable-adam' import "$SCRATCH/adam.safetensors" --from safetensors --out "$SCRATCH/adam3.h5"
same "$SCRATCH/adam.h5" "$SCRATCH/adam3.h5"
gives 0 learnable-adam import "$SCRATCH/adam.safetensors" --from safetensors --set learning_rate=0.25 --out "$SCRATCH/quarter.h5"
gives 0 'learning_rate +0.25' show "$SCRATCH/quarter.h5"

# ---- refusals, after which nothing was written ------------------------------------------------------------

out=(--out "$SCRATCH/none.h5")
gives 2 'FILE is missing' import
gives 2 'from is missing' import x "${out[@]}"
gives 2 'optimizer is missing' import x --from flax "${out[@]}"
gives 2 'out is missing' import x --from flax --optimizer celo
gives 2 'found "pickle", expected flax, pylo or safetensors' import x --from pickle --optimizer celo "${out[@]}"
gives 2 'found "hidden", expected NAME=VALUE' import x --from flax --optimizer celo --set hidden "${out[@]}"
gives 2 'at most 2 paths' import x y z --from pylo --optimizer velo "${out[@]}"
gives 2 'one path, found 2' import x y --from flax --optimizer velo "${out[@]}"
gives 2 'nothing.state: cannot be opened' import "$SCRATCH/nothing.state" --from flax --optimizer celo "${out[@]}"
gives 2 'is not a file' import "$SCRATCH" --from flax --optimizer celo "${out[@]}"
gives 2 'not MessagePack' import LICENSE --from flax --optimizer celo "${out[@]}"
gives 2 'not safetensors' import LICENSE --from safetensors --optimizer celo "${out[@]}"
gives 2 'unknown|no-such' import "$SCRATCH/adam.state" --from flax --optimizer no-such "${out[@]}"
gives 2 'hand-designed' import "$SCRATCH/adam.state" --from flax --optimizer adam "${out[@]}"
gives 2 "holds \\['log_epsilon'\\]|has no" import "$SCRATCH/adam.state" --from flax --optimizer celo "${out[@]}"
gives 2 'no setting "depth"' import "$SCRATCH/adam.state" --from flax --optimizer learnable-adam --set depth=3 "${out[@]}"
gives 2 'PyLO has no optimizer like learnable-adam' export "$SCRATCH/adam.h5" --to pylo --out "$SCRATCH/none"
gives 2 'expected pylo, flax, safetensors or c-header' export "$SCRATCH/adam.h5" --to pickle --out "$SCRATCH/none"
truncate -s 3G "$SCRATCH/large.state" # no disk is used
gives 2 'at most 1073741824 are read' import "$SCRATCH/large.state" --from flax --optimizer celo "${out[@]}"
rm "$SCRATCH/large.state"
size=$(wc -c <"$SCRATCH/adam.state")
for kept in 0 1 20 $((size - 1)); do
    head -c "$kept" "$SCRATCH/adam.state" >"$SCRATCH/cut.state"
    gives 2 'cut.state: not MessagePack' import "$SCRATCH/cut.state" --from flax --optimizer learnable-adam "${out[@]}"
done
[ ! -e "$SCRATCH/none.h5" ] || fail "a refused import wrote a file"
[ ! -e "$SCRATCH/none" ] || fail "a refused export wrote a folder"
gives 0 'metatrain import theta.state --from flax --optimizer celo' import --help
[ "$failures" -eq 0 ]
