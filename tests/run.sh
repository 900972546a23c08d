#!/usr/bin/env bash
# Runs every test, those of the GPU kernels included.
#
# Where no GPU adapter is found, Mesa's software Vulkan driver (lavapipe) is installed first: on
# Debian and Ubuntu, with the rights of root. A test that finds no adapter then fails; none is
# passed over.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "tests/run.sh: $*" >&2; }

# Only repeated builds gain by it; a first one takes longer with it.
export CARGO_INCREMENTAL=0

# Every crate, test and feature in one build: other choices of them would compile the dependencies,
# which take longest, again.
everything=(test --locked --workspace --all-features)

# Whether birnn itself can open an adapter.
gpu_found() {
    BIRNN_REQUIRE_GPU=1 cargo "${everything[@]}" --quiet --test gpu -- \
        --exact session::an_adapter_is_there --nocapture >&2
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "${sources[@]}" "$@"
}

# Writes a source list with the backports of this distribution, from the mirror that the machine
# uses already, and makes `apt` read it in place of sources.list. The system's own lists stay as
# they are.
add_backports() {
    local mirror keyring list=$1
    mirror=$(apt-get indextargets --format "\$(RELEASE) \$(COMPONENT) \$(REPO_URI)" "Created-By: Packages" |
        awk -v suite="$VERSION_CODENAME" '$1 == suite && $2 == "main" && !n++ { print $3 }')
    [ -n "$mirror" ] || return 1
    keyring=$(ls "/usr/share/keyrings/$ID-archive-keyring".{pgp,gpg} 2>/dev/null | head -n 1 || true)
    [ ! -f /etc/apt/sources.list ] || cat /etc/apt/sources.list >"$list"
    printf '\ndeb %s %s %s main\n' "${keyring:+[signed-by=$keyring]}" "$mirror" "$backports" >>"$list"
    sources=(-o "Dir::Etc::SourceList=$list")
}

has_backports() {
    # Not `grep -q`: it would end the pipe early, which pipefail takes for a failure.
    apt-get indextargets --format "\$(RELEASE)" "Created-By: Packages" | grep -x "$backports" >/dev/null
}

# Backports has the newer Mesa, where there is one. Without it the plain package does.
install_software_driver() {
    local packages=(libvulkan1 mesa-vulkan-drivers) list
    if ! command -v apt-get >/dev/null; then
        say "no GPU adapter, and no apt-get to install one: install the Vulkan loader and Mesa's lavapipe driver"
        say "(mesa-vulkan-drivers on Fedora, vulkan-swrast on Arch, mesa-vulkan-swrast on Alpine), then try again"
        exit 1
    fi
    say "no GPU adapter: installing ${packages[*]}"
    # shellcheck source=/dev/null
    . /etc/os-release
    backports="${VERSION_CODENAME:-none}-backports" sources=()
    apt update
    list=$(mktemp --suffix=.list)
    trap "rm -f '$list'" EXIT
    has_backports || add_backports "$list" || say "no mirror found for $backports"
    if apt update && apt install -y --no-install-recommends -t "$backports" "${packages[@]}"; then
        say "installed, $backports taken into account"
    else
        say "$backports can't be used: installing the distribution's own package"
        sources=()
        apt update
        apt install -y --no-install-recommends "${packages[@]}"
    fi
}

cargo "${everything[@]}" --no-run
if ! gpu_found; then
    install_software_driver
    gpu_found || { say "still no GPU adapter"; exit 1; }
fi

# Mesa's software driver compiles a kernel when it first runs, which takes longer than it then runs:
# without the compiler's optimizations that is a third less time. No other driver reads this.
export GALLIVM_PERF=${GALLIVM_PERF-nopt}

# All members: isa_report checks registers and scratch memory of the kernels on AMD GPUs, where
# Mesa's RADV driver is installed.
BIRNN_REQUIRE_GPU=1 cargo "${everything[@]}" --no-fail-fast
say "all tests passed"
