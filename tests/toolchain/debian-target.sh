#!/bin/bash
# Standard libraries for ARM targets where rustup cannot deliver them: built from Debian's packaged
# library source with Debian's own compiler of the same version, into that compiler's sysroot, and
# offered to rustup as the toolchain `debian`. Afterwards, on stable and without -Z flags:
#
#     cargo +debian build --target TARGET
#
# usage: debian-target.sh TARGET...      Idempotent; about half a minute per bare-metal target.
#
# Why so: the library source needs a compiler of exactly its version, and rustup's release is not
# the one that Debian packages the source of.
set -euo pipefail

libraries=/usr/lib/rustlib
packages=(rustc-web cargo-web rust-web-src rust-web-clippy)

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_compiler() {
    if dpkg-query -W "${packages[@]}" >/dev/null 2>&1; then return; fi
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${packages[@]}"
}

# tract needs Rust 1.91; Debian's security suite has it, a release without that suite has not.
check_version() {
    local version
    version=$(/usr/bin/rustc --version | cut -d ' ' -f 2)
    if ! printf '1.91\n%s\n' "$version" | sort --check=silent --version-sort; then
        echo "rustc-web is $version, but 1.91 or later is needed: enable Debian's security suite" >&2
        exit 1
    fi
}

link_toolchain() {
    if ! rustup toolchain list | grep -q '^debian\b'; then rustup toolchain link debian /usr; fi
}

# What was built from what, so that a newer compiler or script builds again.
stamp() {
    echo "$(dpkg-query -W -f '${Package} ${Version}, ' "${packages[@]}")script $(sha256sum <"$0" | cut -c 1-12)"
}

write_project() { # TARGET FOLDER
    local panic=unwind no_std=
    if [[ $1 == *-none-* ]]; then panic=abort no_std='#![no_std]'; fi
    mkdir -p "$2/src" "$2/.cargo"
    echo "$no_std" >"$2/src/lib.rs"
    cat >"$2/Cargo.toml" <<END
[package]
name = "nothing"
version = "0.0.0"
edition = "2021"
[workspace]
[profile.release]
panic = "$panic"
END
    # The library's own dependencies come with its source: no registry is asked.
    cat >"$2/.cargo/config.toml" <<END
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "$libraries/src/rust/library/vendor"
END
}

build_libraries() { # TARGET FOLDER
    local crates=std,panic_abort,proc_macro,test features=panic-unwind,backtrace
    if [[ $1 == *-none-* ]]; then crates=core,alloc features=compiler-builtins-mem; fi
    # -Z build-std is what Debian's compiler must be talked into here, once, and nowhere else.
    # Bitcode is embedded so that programs can be linked with lto = true.
    (
        cd "$2"
        env -u RUSTUP_TOOLCHAIN -u LD_LIBRARY_PATH \
            RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR="$2/target" \
            /usr/bin/cargo build --quiet --release --offline --target "$1" \
            -Z build-std=$crates -Z build-std-features=$features
    )
    rm "$2/target/$1/release/deps/"libnothing*
}

install_target() { # TARGET
    local folder=$libraries/$1/lib
    if [ "$(cat "$folder/.built-by" 2>/dev/null)" = "$(stamp)" ]; then
        echo "$1: up to date in $folder"
        return
    fi
    write_project "$1" "$work/$1"
    build_libraries "$1" "$work/$1"
    as_root rm -rf "$folder"
    as_root mkdir -p "$folder"
    as_root cp "$work/$1/target/$1/release/deps/"lib*.rlib "$folder/"
    # Last, so that an interrupted copy is not taken for a whole one.
    stamp | as_root tee "$folder/.built-by" >/dev/null
    echo "$1: built into $folder"
}

if [ $# = 0 ]; then
    echo "usage: debian-target.sh TARGET..." >&2
    exit 2
fi
install_compiler
check_version
link_toolchain
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for target in "$@"; do install_target "$target"; done
