#!/usr/bin/env bash
# Runs the tests on Vulkan drivers other than the installed one, and under Vulkan's validation
# layers. Debian and Ubuntu: what they need is taken from the distribution's packages and unpacked
# under target/drivers; nothing is installed.
#
#     tests/drivers.sh [old-mesa] [swiftshader] [validation] [-- ARGUMENTS OF CARGO TEST]
#
# old-mesa: lavapipe of the distribution's own Mesa, where tests/run.sh takes that of backports.
# swiftshader: the software driver that Chromium carries. validation: the layers of the
# distribution, and the newer ones that Chromium carries; any warning or error fails. Without
# arguments all three. What can't be had is said, as NOT RUN.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "tests/drivers.sh: $*" >&2; }
not_run() { say "NOT RUN: $*"; }

folder=$PWD/target/drivers
failed=0
test_arguments=()

download() { (cd "$1" && apt-get -q download "$2") >&2; }
# The lists of packages; once, as root.
update() {
    [ -z "${updated:-}" ] && [ "$(id -u)" -eq 0 ] || return 1
    updated=1
    apt-get -q update >&2
}

# Unpacks a package, of a suite where one is named, into $folder/NAME. 1 where there is none.
unpack() {
    local name=$1 suite=${2:-} into=$folder/$1
    [ ! -e "$into/done" ] || return 0
    mkdir -p "$into/deb"
    download "$into/deb" "$name${suite:+/$suite}" || { update && download "$into/deb" "$name${suite:+/$suite}"; } || return 1
    dpkg-deb -x "$into"/deb/*.deb "$into" && rm -r "$into/deb" && touch "$into/done"
}

# The file of that name in an unpacked package.
find_in() { find "$folder/$1" -name "$2" | head -n 1; }

# Writes a driver file for a library.
driver_file() {
    printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.1.0"}}\n' "$1" >"$folder/$2.json"
    printf '%s\n' "$folder/$2.json"
}

# Runs the tests on a driver whose description contains a text; further arguments are environment
# variables.
run_on() {
    local what=$1 described=$2 devices
    shift 2
    devices=$(env "$@" cargo run --quiet --locked --all-features --bin birnn -- devices --device gpu --allow-software || true)
    case $devices in
        *"$described"*) ;;
        *) not_run "$what: no adapter \"$described\" in: $devices"; return 0 ;;
    esac
    say "$what"
    env "$@" BIRNN_REQUIRE_GPU=1 cargo test --locked --all-features --no-fail-fast "${test_arguments[@]}" || failed=1
}

old_mesa() {
    local suite library llvm
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    unpack mesa-vulkan-drivers "$suite" || { not_run "old-mesa: no mesa-vulkan-drivers of $suite"; return 0; }
    library=$(find_in mesa-vulkan-drivers libvulkan_lvp.so)
    llvm=$(ldd "$library" | awk '/libLLVM.*not found/ { print $1 }')
    if [ -n "$llvm" ]; then
        llvm=$(sed 's/.*LLVM-\([0-9]*\).*/libllvm\1/' <<<"$llvm")
        unpack "$llvm" "$suite" || { not_run "old-mesa: no $llvm of $suite"; return 0; }
        llvm=$(dirname "$(find_in "$llvm" 'libLLVM*.so*')")
    fi
    run_on "old-mesa" llvmpipe VK_DRIVER_FILES="$(driver_file "$library" old_mesa)" LD_LIBRARY_PATH="$llvm"
}

swiftshader() {
    unpack chromium-common || { not_run "swiftshader: no chromium-common"; return 0; }
    run_on "swiftshader" SwiftShader \
        VK_DRIVER_FILES="$(driver_file "$(find_in chromium-common libvk_swiftshader.so)" swiftshader)"
}

# Ids of messages that aren't birnn's doing: VUID-StandaloneSpirv-None-10684: naga lays out arrays
# in private memory, https://github.com/gfx-rs/wgpu/issues/7696; wgpu passes over it, too.
ALLOWED='^VUID-StandaloneSpirv-None-10684$'

# Runs the tests with the layer of a package; further arguments are environment variables.
validated() {
    local package=$1 library log=$folder/$1.log
    shift
    unpack "$package" || { not_run "validation: no $package"; return 0; }
    library=$(find_in "$package" libVkLayer_khronos_validation.so)
    mkdir -p "$folder/layers_$package"
    cat >"$folder/layers_$package/VkLayer_khronos_validation.json" <<JSON
{"file_format_version": "1.2.0", "layer": {"name": "VK_LAYER_KHRONOS_validation", "type": "GLOBAL",
 "library_path": "$library", "api_version": "1.3.239", "implementation_version": "1", "description": "Khronos Validation Layer",
 "instance_extensions": [{"name": "VK_EXT_debug_utils", "spec_version": "1"},
                         {"name": "VK_EXT_validation_features", "spec_version": "2"}]}}
JSON
    # Information, too: the layer says there that it is at work.
    cat >"$folder/layers_$package/vk_layer_settings.txt" <<'SETTINGS'
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.report_flags = error,warn,perf,info
khronos_validation.log_filename = stdout
SETTINGS
    local environment=(WGPU_VALIDATION=1 VK_LAYER_PATH="$folder/layers_$package" VK_LAYER_SETTINGS_PATH="$folder/layers_$package" "$@")
    say "validation: the layer of $package"
    env "${environment[@]}" BIRNN_REQUIRE_GPU=1 cargo test --locked --all-features --no-fail-fast \
        "${test_arguments[@]}" -- --nocapture >"$log" || failed=1
    judge "$package" "$log"
}

judge() {
    local package=$1 log=$2 messages
    grep -aE '^test result|^test .* FAILED' "$log" >&2 || true
    if ! grep -qaE 'Khronos Validation Layer Active|CURRENT-VALIDATION-ENABLED' "$log"; then
        say "validation: the layer of $package was not at work: see $log"
        failed=1
        return 0
    fi
    messages=$(grep -aoE 'Validation (Error|Warning|Performance Warning): \[ [^ ]+' "$log" | sed 's/.*\[ //' | grep -vE "$ALLOWED" |
        sort | uniq -c || true)
    if [ -n "$messages" ]; then
        say "validation: messages of the layer of $package (in $log):"
        printf '%s\n' "$messages" >&2
        failed=1
    else
        say "validation: the layer of $package has nothing to say"
    fi
}

validation() {
    # Without the names of the sources: layers of 1.3.239 take the number that stands for WGSL for a
    # mistake.
    validated vulkan-validationlayers WGPU_DEBUG=0
    validated chromium-common
}

steps=()
while [ $# -gt 0 ]; do
    case $1 in
        old-mesa) steps+=(old_mesa) ;;
        swiftshader | validation) steps+=("$1") ;;
        --) shift; test_arguments=("$@"); break ;;
        *) say "unknown: $1"; exit 2 ;;
    esac
    shift
done
[ ${#steps[@]} -gt 0 ] || steps=(old_mesa swiftshader validation)
command -v apt-get dpkg-deb >/dev/null || { not_run "no apt-get and dpkg-deb to fetch drivers with"; exit 0; }
for step in "${steps[@]}"; do "$step"; done
[ "$failed" -eq 0 ] || { say "failed"; exit 1; }
say "all passed"
