#!/bin/bash
# Runs in the root file system that debootstrap made: what a Vagrant box has beyond Debian.
set -euo pipefail

# As few modules in the initial file system as it takes: software emulation is slow.
printf 'MODULES=list\nCOMPRESS=zstd\n' >/etc/initramfs-tools/conf.d/weft-test
printf 'virtio_pci\nvirtio_blk\nvirtio_net\next4\n' >>/etc/initramfs-tools/modules
update-initramfs -u

# The provider's NAT; the private network is configured when the machine is up, as Vagrant does.
printf 'source /etc/network/interfaces.d/*\nauto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n' >/etc/network/interfaces
install -d -m 700 /root/.ssh
install -m 600 /tmp/key.pub /root/.ssh/authorized_keys
rm /tmp/key.pub
ssh-keygen -A

# What the provisioning starts, it starts; what a box would do in the background, it does not.
systemctl disable --quiet etcd docker.socket docker.service containerd.service apt-daily.timer apt-daily-upgrade.timer \
  fstrim.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service systemd-pstore.service getty@tty1.service
systemctl mask --quiet ifupdown-wait-online.service

: >/etc/machine-id
rm -f /var/lib/dbus/machine-id
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/locale/* /usr/share/man/*
