# shellcheck shell=bash
ensure_packages() {
  local missing=() package
  for package; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "this is neither Debian nor Ubuntu: use a box of one of them"
  say "installing ${missing[*]}"
  # A fresh machine may be at its own updates: wait for the lock.
  apt-get -o DPkg::Lock::Timeout=600 update -qq
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -qq --no-install-recommends "${missing[@]}" \
    </dev/null >/dev/null
}
