# shellcheck shell=bash
# The package that this script lies in.

package_version() { cat "$here/VERSION"; }
package_id() { sha256sum "$here/SHA256SUMS" | cut -c 1-8; }

# `folder`: is it a package, and whole?
is_whole() { [ -f "$1/SHA256SUMS" ] && (cd "$1" && sha256sum --check --quiet --strict SHA256SUMS) >/dev/null 2>&1; }

check_package() {
  local machine
  machine=$(uname -m)
  [ "$machine" = "$(cat "$here/MACHINE")" ] ||
    die "this package is for $(cat "$here/MACHINE"), and this machine is $machine: take the other one"
  is_whole "$here" ||
    die "this package is damaged: $(cd "$here" && sha256sum --check --quiet SHA256SUMS 2>/dev/null | head -n 1); unpack it again"
  "$here/bin/node" --version >/dev/null 2>&1 ||
    die "the package's Node.js does not run here: $("$here/bin/node" --version 2>&1 | head -n 1); it needs glibc 2.28 or newer"
}

# The configuration that will be in force, as the agent understands it.
effective_config() {
  local file=$config
  [ -n "$file" ] || { [ ! -e /etc/weft/weft.yaml ] || file=/etc/weft/weft.yaml; }
  "$here/bin/node" "$here/bin/weftd" --check-config ${file:+--config "$file"}
}

check_config() {
  local problems
  [ -z "$config" ] || [ -r "$config" ] || die "$config cannot be read: name a weft.yaml that is there"
  problems=$(effective_config 2>&1 >/dev/null) || die "the configuration is not valid, nothing was changed:
$problems"
}

refuse_debian_package() {
  command -v dpkg-query >/dev/null || return 0
  [ "$(dpkg-query -W -f '${db:Status-Status}' weft 2>/dev/null)" != installed ] ||
    die "weft is installed here as a Debian package: upgrade it with 'apt-get install ./weft_VERSION_ARCH.deb', remove it with 'apt-get remove weft'"
}
