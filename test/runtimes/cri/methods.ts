/** The part of the Container Runtime Interface (cri-api, `runtime.v1`) that a kubelet needs for a pod's life. */
import protobuf from 'protobufjs';

/** Fields by their numbers in cri-api's `pkg/apis/runtime/v1/api.proto`; what is left out is skipped on reading. */
const definitions = `
syntax = "proto3";
package runtime.v1;

message PodSandboxMetadata { string name = 1; string uid = 2; string namespace = 3; uint32 attempt = 4; }
enum Protocol { TCP = 0; UDP = 1; SCTP = 2; }
message PortMapping { Protocol protocol = 1; int32 container_port = 2; int32 host_port = 3; string host_ip = 4; }
message LinuxPodSandboxConfig { string cgroup_parent = 1; }
message PodSandboxConfig {
  PodSandboxMetadata metadata = 1;
  string hostname = 2;
  string log_directory = 3;
  repeated PortMapping port_mappings = 5;
  map<string, string> labels = 6;
  map<string, string> annotations = 7;
  LinuxPodSandboxConfig linux = 8;
}
message RunPodSandboxRequest { PodSandboxConfig config = 1; string runtime_handler = 2; }
message PodSandboxId { string pod_sandbox_id = 1; }
message Empty {}

message PodIP { string ip = 1; }
message PodSandboxNetworkStatus { string ip = 1; repeated PodIP additional_ips = 2; }
message PodSandboxStatus { string id = 1; PodSandboxNetworkStatus network = 5; }
message PodSandboxStatusResponse { PodSandboxStatus status = 1; }

message ContainerMetadata { string name = 1; uint32 attempt = 2; }
message ImageSpec { string image = 1; }
message ContainerConfig {
  ContainerMetadata metadata = 1;
  ImageSpec image = 2;
  repeated string command = 3;
  string log_path = 11;
}
message CreateContainerRequest { string pod_sandbox_id = 1; ContainerConfig config = 2; PodSandboxConfig sandbox_config = 3; }
message ContainerId { string container_id = 1; }
message ExecSyncRequest { string container_id = 1; repeated string cmd = 2; int64 timeout = 3; }
message ExecSyncResponse { bytes stdout = 1; bytes stderr = 2; int32 exit_code = 3; }

message RuntimeCondition { string type = 1; bool status = 2; string reason = 3; string message = 4; }
message RuntimeStatus { repeated RuntimeCondition conditions = 1; }
message StatusResponse { RuntimeStatus status = 1; }
`;

export interface PortMapping {
  /** 0: TCP, 1: UDP. */
  readonly protocol: 0 | 1;
  readonly containerPort: number;
  readonly hostPort: number;
  readonly hostIp?: string;
}

export interface PodSandboxConfig {
  readonly metadata: { readonly name: string; readonly uid: string; readonly namespace: string };
  readonly hostname: string;
  readonly logDirectory: string;
  readonly portMappings: readonly PortMapping[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly linux: { readonly cgroupParent: string };
}

interface SandboxId {
  readonly podSandboxId: string;
}

interface ContainerId {
  readonly containerId: string;
}

export interface Method<Request extends object, Response> {
  readonly path: string;
  readonly encode: (request: Request) => Buffer;
  readonly decode: (bytes: Buffer) => Response;
}

const { root } = protobuf.parse(definitions);

const shape: protobuf.IConversionOptions = { defaults: true, arrays: true, bytes: Buffer, longs: Number };

function method<Request extends object, Response>(
  name: string,
  { takes, gives }: { takes: string; gives: string },
): Method<Request, Response> {
  const request = root.lookupType(`runtime.v1.${takes}`);
  const response = root.lookupType(`runtime.v1.${gives}`);
  return {
    path: `/runtime.v1.RuntimeService/${name}`,
    encode: (value) => Buffer.from(request.encode(request.fromObject(value)).finish()),
    decode: (bytes) => response.toObject(response.decode(bytes), shape) as Response,
  };
}

export const status = method<
  object,
  { status: { conditions: { type: string; status: boolean; message: string }[] } }
>('Status', { takes: 'Empty', gives: 'StatusResponse' });

export const runPodSandbox = method<{ config: PodSandboxConfig }, SandboxId>('RunPodSandbox', {
  takes: 'RunPodSandboxRequest',
  gives: 'PodSandboxId',
});

export const podSandboxStatus = method<
  SandboxId,
  { status: { id: string; network: { ip: string; additionalIps: { ip: string }[] } | null } }
>('PodSandboxStatus', { takes: 'PodSandboxId', gives: 'PodSandboxStatusResponse' });

export const stopPodSandbox = method<SandboxId, object>('StopPodSandbox', {
  takes: 'PodSandboxId',
  gives: 'Empty',
});

export const removePodSandbox = method<SandboxId, object>('RemovePodSandbox', {
  takes: 'PodSandboxId',
  gives: 'Empty',
});

export const createContainer = method<
  SandboxId & {
    config: {
      metadata: { name: string };
      image: { image: string };
      command: readonly string[];
      logPath: string;
    };
    sandboxConfig: PodSandboxConfig;
  },
  ContainerId
>('CreateContainer', { takes: 'CreateContainerRequest', gives: 'ContainerId' });

export const startContainer = method<ContainerId, object>('StartContainer', {
  takes: 'ContainerId',
  gives: 'Empty',
});

export const execSync = method<
  ContainerId & { cmd: readonly string[]; timeout: number },
  { stdout: Buffer; stderr: Buffer; exitCode: number }
>('ExecSync', { takes: 'ExecSyncRequest', gives: 'ExecSyncResponse' });
