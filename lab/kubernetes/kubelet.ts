/** What the kubelet and kube-proxy of a lab's node are configured with. Pure. */
import { stringify } from 'yaml';
import type { Family } from '../../inet/ip.ts';
import { clusterNetwork } from '../topology.ts';

export const proxyModes = ['nftables', 'iptables'] as const;
export type ProxyMode = (typeof proxyModes)[number];

/** Where CoreDNS is, per family: the tenth address of the Services' network, as kubeadm has it. */
export const dnsAddress: Readonly<Record<Family, string>> = { ipv4: '10.96.0.10', ipv6: 'fd00:10:96::a' };

export const containerdSocket = '/run/containerd/containerd.sock';

/**
 * Nodes share one machine: a cgroup for the lab's pods alone (made before the kubelet starts), no reservations, no
 * eviction by what the machine's disk has left.
 */
export const kubeletConfiguration = (node: { cgroup: string; family: Family }): string =>
  stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    clusterDNS: [dnsAddress[node.family]],
    clusterDomain: 'cluster.local',
    resolvConf: '/run/kubernetes/resolv.conf',
    cgroupDriver: 'cgroupfs',
    cgroupsPerQOS: true,
    enforceNodeAllocatable: [],
    cgroupRoot: node.cgroup,
    failCgroupV1: false,
    localStorageCapacityIsolation: false,
    makeIPTablesUtilChains: false,
    failSwapOn: false,
    // Root of a virtual machine may lack CAP_SYS_RESOURCE.
    oomScoreAdj: 0,
    evictionHard: { 'memory.available': '0%', 'nodefs.available': '0%', 'imagefs.available': '0%' },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    serializeImagePulls: false,
    podLogsDir: '/var/lib/kubelet/logs',
    volumePluginDir: '/var/lib/kubelet/volume-plugins',
    shutdownGracePeriod: '0s',
    readOnlyPort: 0,
  });

export const proxyConfiguration = (node: {
  name: string;
  mode: ProxyMode;
  families: readonly Family[];
}): string =>
  stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: node.mode,
    hostnameOverride: node.name,
    clientConnection: { kubeconfig: '/run/kubernetes/kube-proxy.conf' },
    clusterCIDR: node.families.map((family) => clusterNetwork[family]).join(','),
    detectLocalMode: 'ClusterCIDR',
    // The table's size is the machine's, and no namespace can set it.
    conntrack: { maxPerCore: 0, min: 0 },
    oomScoreAdj: 0,
  });

/** The sandbox's image is imported, not pulled. */
export const containerdConfiguration = (pauseImage: string): string => `version = 2
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp",
]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
`;
