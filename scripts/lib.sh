# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Shared by the scripts beside it, which run on from `source lib.sh` in the root of the clone:
#   step "text"                 prints [2/5] text; the script sets n_steps
#   die "sentence"              one line on stderr, status 1
#   install_packages run test   apt packages of these groups that are missing
#   build_preset release        configures and builds build/release
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
n_cores=$(nproc)
n_steps=1
step_number=0

# Every package that a script may install: group, architecture, name, why.
packages() {
    cat <<'TABLE'
run   all   build-essential        C and C++ compilers
run   all   cmake                  build
run   all   ninja-build            build
run   all   pkg-config             how the build finds libraries
run   all   libpcg-cpp-dev         random numbers with streams and advance
run   all   zlib1g-dev             data sets are gzip files
run   all   libpng-dev             data sets are PNG pictures
run   all   libopenblas-dev        matrix products
run   amd64 libxsmm-dev            small matrix products, twice as fast as OpenBLAS
run   all   libopenmpi-dev         coordinator and workers
run   all   openmpi-bin            mpirun
run   all   libhdf5-dev            theta files and checkpoints
run   all   libyaml-dev            configurations
run   all   libjansson-dev         metrics, manifests, exports
run   all   libxxhash-dev          digests
run   all   libmsgpack-dev         trees of weights of JAX
run   all   dataset-fashion-mnist  the images of configs/quickstart.yaml
run   all   fortunes               English text of language models
run   all   bible-kjv-text         more of it
run   all   gnuplot-nox            curves
data  all   opencv-doc             5,000 digits and 20,000 letters
test  all   libcriterion-dev       unit tests
test  all   python3                tests of the sources themselves
test  all   universal-ctags        which functions there are
test  all   clang-format           the layout of the sources
cluster all slurm-wlm              a batch system of one machine, for the test of scripts/slurm
cluster all munge                  its messages are signed
cluster all iproute2               two network namespaces as two hosts, for a test
check all   clang                  a second compiler's warnings
check all   libclang-rt-dev        libFuzzer, which Debian's clang only recommends
check all   clang-tidy             static analysis
check all   cppcheck               static analysis
check all   shellcheck             static analysis of these scripts
check all   chromium               looks at the page of metatrain report
cross amd64 gcc-aarch64-linux-gnu  liblopt for another processor
cross amd64 g++-aarch64-linux-gnu  its random numbers (PCG is C++)
cross amd64 libc6-dev-arm64-cross  its C library
cross amd64 qemu-user              runs its tests
TABLE
}

step() {
    step_number=$((step_number + 1))
    printf '\n[%d/%d] %s\n' "$step_number" "$n_steps" "$*"
}

die() {
    printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2
    exit 1
}

# Runs a command as root: apt-get needs it.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@" # without a terminal nobody can type a password
    fi
}

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_packages() { # GROUP...
    local group architecture name machine
    machine=$(dpkg --print-architecture)
    while read -r group architecture name _; do
        if [[ " $* " == *" $group "* && "$architecture" =~ ^(all|"$machine")$ ]] && ! is_installed "$name"; then
            echo "$name"
        fi
    done < <(packages)
}

install_packages() { # GROUP...
    local missing log=build/apt.log
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        echo "no apt-get here: assuming that the libraries are installed (configure names what is missing)"
        return
    fi
    mapfile -t missing < <(missing_packages "$@")
    if [ "${#missing[@]}" -eq 0 ]; then
        echo "all packages are installed"
        return
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "these packages are missing and there is no sudo; as root: apt-get install ${missing[*]}"
    fi
    echo "installing ${missing[*]}"
    mkdir -p build
    apt_get update >"$log" 2>&1 || true # a broken source may not matter: the install decides
    if ! apt_get install --yes --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
        die "apt-get could not install ${missing[*]} ($(apt_reason "$log"); see $root/$log)"
    fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get --quiet \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 \
        -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# The line of apt's log that says most: an unreachable mirror before its consequences.
apt_reason() { # LOG
    grep -m 1 -E 'Failed to fetch|Could not resolve|password is required' "$1" || grep -m 1 '^E:' "$1" || tail -n 1 "$1"
}

build_preset() { # PRESET [CMAKE OPTION]...
    local preset=$1 log=build/$1-configure.log quiet=()
    shift
    [ -t 1 ] || quiet=(-- --quiet) # one line a file is for a terminal, where it is overwritten
    mkdir -p build
    if ! cmake --preset "$preset" "$@" >"$log" 2>&1; then
        cat "$log" >&2
        die "configure failed"
    fi
    cmake --build --preset "$preset" --parallel "$n_cores" "${quiet[@]}" || die "build failed"
}
