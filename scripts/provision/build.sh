# shellcheck shell=bash
# The package, built on the first node from the tree that these scripts lie in, so that the host needs nothing.
build_package() {
  local tree sources
  tree=$(dirname "$(dirname "$here")")
  sources=$(cd "$tree" && find . \( -name node_modules -o -name dist -o -name build -path ./build -o -name .node \) -prune -o -type f -print0 |
    sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-16)
  package=$(find "$state" -maxdepth 1 -name "weft-*-linux-*.tar.gz" -newer "$state/built-$sources" 2>/dev/null || true)
  [ -z "$package" ] || return 0
  say "building the package; this takes a few minutes the first time"
  rm -f "$state"/built-* "$state"/weft-*-linux-*.tar.gz
  (
    cd "$tree"
    unset SUDO_USER
    # shellcheck source=../setup
    source scripts/setup
    setup iproute2 nftables gcc libc6-dev
    node build/scripts/package.js
  ) >&2
  touch -d '1 second ago' "$state/built-$sources"
  cp "$tree"/dist/package/weft-*-linux-*.tar.gz "$state/"
  package=$(find "$state" -maxdepth 1 -name "weft-*-linux-*.tar.gz")
}
