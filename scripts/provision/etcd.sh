# shellcheck shell=bash
# The store, on the first node: one member, reached with a certificate of the cluster's only.
ensure_etcd() {
  local file changed=no
  install -d -m 755 /etc/etcd
  for file in ca.crt store.crt store.key; do
    cmp -s "$state/pki/$file" "/etc/etcd/$file" || { install -o etcd -g etcd -m 400 "$state/pki/$file" "/etc/etcd/$file" && changed=yes; }
  done
  cat >/etc/default/etcd.new <<EOF
ETCD_NAME=$first
ETCD_LISTEN_CLIENT_URLS=https://$store:2379,https://127.0.0.1:2379
ETCD_ADVERTISE_CLIENT_URLS=https://$store:2379
ETCD_CERT_FILE=/etc/etcd/store.crt
ETCD_KEY_FILE=/etc/etcd/store.key
ETCD_TRUSTED_CA_FILE=/etc/etcd/ca.crt
ETCD_CLIENT_CERT_AUTH=true
EOF
  cmp -s /etc/default/etcd.new /etc/default/etcd || changed=yes
  mv /etc/default/etcd.new /etc/default/etcd
  # After a reboot its address may be there later than etcd wants it.
  install -d /etc/systemd/system/etcd.service.d
  cat >/etc/systemd/system/etcd.service.d/weft.conf <<'EOF'
[Unit]
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0
[Service]
Restart=always
RestartSec=2
EOF
  systemctl enable --quiet --no-reload etcd
  systemctl daemon-reload
  if [ $changed = yes ]; then systemctl restart etcd; else systemctl start etcd; fi
}
