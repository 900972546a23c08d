# Compiling for web pages: for scripts that are in the repository's root, to be sourced.

# Compiled with the vectors of WebAssembly, which all browsers have since 2023.
export RUSTFLAGS="${RUSTFLAGS:-} -Ctarget-feature=+simd128"
export CARGO_INCREMENTAL=0
# `fast` compiles faster, for tests.
profile=${BIRNN_WEB_PROFILE:-release}
wasm_opt=target/web/npm/node_modules/.bin/wasm-opt

# Whether the target is there, of rustup's Rust or as Debian's.
has_rustup_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; }
has_debian_target() {
    [ -e /usr/lib/rustlib/src/rust/library/Cargo.lock ] && debian_linker >/dev/null
}

# The linker of the LLVM that Debian's Rust is built with.
debian_linker() {
    local version
    version=$(/usr/bin/rustc -vV 2>/dev/null | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    command -v "wasm-ld-${version:-none}"
}

# Sets `compile` to a cargo that compiles for web pages, and builds what writes JavaScript.
choose_compiler() {
    if has_rustup_target; then
        compile=(cargo build)
    else
        has_debian_target || web/install.sh compiler
        # Debian's Rust has the source of the standard library, and no other for web pages.
        compile=(env "PATH=/usr/bin:$PATH" RUSTC_BOOTSTRAP=1
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(debian_linker)"
            /usr/bin/cargo build -Zbuild-std=std,panic_abort
            -Zbuild-std-features=optimize_for_size)
    fi
    [ -x "$wasm_opt" ] || web/install.sh npm ||
        echo "web/compiler.sh: no wasm-opt: modules are larger and slower" >&2
    RUSTFLAGS="" cargo build --quiet --locked --manifest-path web/Cargo.toml \
        --package birnn-web-bindgen --target-dir target/web/tools
}

# compile_module PACKAGE FOLDER NAME [OPTIONS OF CARGO...]: compiles a module into a folder, with its
# JavaScript.
compile_module() {
    local package=$1 folder=$2 name=$3 module=$2/$3_bg.wasm optimize=-Os
    local relaxed=()
    shift 3
    [[ " $* " != *" relaxed-simd "* ]] || relaxed=(--enable-relaxed-simd)
    "${compile[@]}" --locked --manifest-path web/Cargo.toml --package "$package" \
        --target wasm32-unknown-unknown --profile "$profile" --target-dir target/web/cargo "$@"
    target/web/tools/debug/birnn-web-bindgen \
        "target/web/cargo/wasm32-unknown-unknown/$profile/${package//-/_}.wasm" "$folder" "$name"
    [ "$profile" = release ] || optimize=-O1
    if [ -x "$wasm_opt" ]; then
        # The stack is in the lowest memory and never that deep: sums of addresses become offsets.
        # What the compiler uses of WebAssembly; with all that wasm-opt knows browsers refuse it.
        "$wasm_opt" "$module" --output "$module" "$optimize" --enable-bulk-memory \
            --enable-mutable-globals --enable-multivalue --enable-nontrapping-float-to-int \
            --enable-reference-types --enable-sign-ext --enable-simd "${relaxed[@]}" \
            --low-memory-unused
    fi
}
