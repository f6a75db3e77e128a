/** Network devices as test runs know them: what BPF_PROG_TEST_RUN looks up by ifindex in the caller's network namespace. */
export interface Device {
  readonly ifindex: number;
  /** hardware address, 6 bytes; decides pkt_type */
  readonly address: readonly number[];
  readonly broadcast: readonly number[];
  readonly rxQueues: number;
}

const NO_ADDRESS = [0, 0, 0, 0, 0, 0] as const;

/** Every test run without an ifindex comes in here. */
export const LOOPBACK: Device = { ifindex: 1, address: NO_ADDRESS, broadcast: NO_ADDRESS, rxQueues: 1 };
