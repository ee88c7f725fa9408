/** A shell command that calls the installed plugin as a runtime does. */
export const callPlugin = (call: { verb: string; container: string; netns: string }): string =>
  `env CNI_COMMAND=${call.verb} CNI_CONTAINERID=${call.container} CNI_NETNS=${call.netns} CNI_IFNAME=eth0 \
CNI_PATH=/opt/cni/bin /opt/cni/bin/weft <<<'{"cniVersion":"1.0.0","name":"weft","type":"weft"}'`;
