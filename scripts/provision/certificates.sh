# shellcheck shell=bash
# A certificate authority of the cluster's own, a certificate for the store, and one for each node. Made once.
ensure_certificates() {
  local pki=$state/pki node
  if [ ! -f "$pki/ca.crt" ]; then
    say "making certificates"
    install -d -m 700 "$pki"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=weft $first" \
      -keyout "$pki/ca.key" -out "$pki/ca.crt.new" 2>/dev/null
    mv "$pki/ca.crt.new" "$pki/ca.crt"
  fi
  ensure_certificate store "subjectAltName=IP:$store,IP:127.0.0.1,DNS:$first,DNS:localhost" serverAuth
  for node in $(names); do ensure_certificate "$node" "subjectAltName=DNS:$node" clientAuth; done
  ensure_ssh_key
}

# `name alternatives usage`
ensure_certificate() {
  local pki=$state/pki
  [ ! -f "$pki/$1.crt" ] || return 0
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$pki/$1.key" 2>/dev/null |
    openssl x509 -req -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -days 3650 -out "$pki/$1.crt.new" \
      -extfile <(printf '%s\n' "$2" "extendedKeyUsage=$3" 'basicConstraints=critical,CA:FALSE') 2>/dev/null
  mv "$pki/$1.crt.new" "$pki/$1.crt"
}

# With it a node looks at the others when it verifies the cluster.
ensure_ssh_key() {
  [ -f "$state/pki/verify.pub" ] || ssh-keygen -q -t ed25519 -N '' -C 'weft verify' -f "$state/pki/verify"
}

# The key is good from the nodes' own network only.
trust_the_others() {
  local line
  line="restrict,from=\"$underlay\" $(cat "$state/bundle/verify.pub")"
  install -d -m 700 /root/.ssh
  touch /root/.ssh/authorized_keys
  chmod 600 /root/.ssh/authorized_keys
  if ! grep -qxF "$line" /root/.ssh/authorized_keys; then
    # One of an earlier first node may be there.
    sed -i '/ weft verify$/d' /root/.ssh/authorized_keys
    echo "$line" >>/root/.ssh/authorized_keys
  fi
}
