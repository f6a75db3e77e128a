/** Packets into a perf buffer, behind a meta: the workloads of bench/workloads/packets.bpf.c, by test runs on one packet. */
import { type LoadedObject, load, PERF_SAMPLE, type PerfEventArrayMap } from "../api/index.ts";
import { BugError } from "../base/index.ts";

export interface PacketWorkload {
  readonly name: string;
  readonly program: string;
  /** of the packet that are copied */
  readonly bytes: number;
  /** records of one run */
  readonly events: number;
  readonly summary: string;
}

const row = (bytes: number, events: number): PacketWorkload => ({
  name: `perf-packet-${bytes}`,
  program: `packet_${bytes}`,
  bytes,
  events,
  summary: `${bytes} bytes of a packet behind 16 bytes of meta, copied from where it is`,
});

export const PACKETS: readonly PacketWorkload[] = [row(16, 4096), row(64, 4096), row(256, 4096), row(1500, 1024)];

/** A test run's packet has a header at least. */
export const packetBytes = ({ bytes }: PacketWorkload): number => Math.max(64, bytes);

/** As the kernel's. It is less than half full behind one run. */
const PAGES = 1024;

export class PacketEngine {
  readonly #object: LoadedObject;
  readonly #program: string;
  readonly #repeat: number;
  readonly #packet: Uint8Array;
  readonly #drain: () => number;

  private constructor(object: LoadedObject, workload: PacketWorkload) {
    this.#object = object;
    this.#program = workload.program;
    this.#repeat = workload.events;
    this.#packet = new Uint8Array(packetBytes(workload)).fill(7);
    (object.map("packets").raw as PerfEventArrayMap).openBuffer(0, { pages: PAGES, sampleType: PERF_SAMPLE.RAW });
    const reader = object.reader("packets");
    this.#drain = () => reader.drain(() => {});
  }

  static async start(objectPath: string, workload: PacketWorkload): Promise<PacketEngine> {
    return new PacketEngine(await load(objectPath, { programs: [workload.program], optimize: 2 }), workload);
  }

  /** ns a record over `batches` batches. The reader drains between them and is not timed, as in the kernel's baseline. */
  run(batches: number): number {
    const program = this.#object.program(this.#program);
    let sum = 0;
    for (let batch = 0; batch < batches; batch++) {
      sum += program.testRun({ dataIn: this.#packet, repeat: this.#repeat }).durationNs;
      if (this.#drain() !== this.#repeat) throw new BugError("records were lost");
    }
    return sum / batches;
  }

  close(): void {
    this.#object.close();
  }
}
