/** Arena memory for one run or one source: everything that was allocated is freed at once. */
import type { Device } from "./device.ts";
import type { ContextRoom } from "./test-run/context.ts";
import type { World } from "./world.ts";

export class Room implements ContextRoom {
  readonly #world: World;
  readonly #devices: readonly Device[];
  readonly #addresses = new Set<number>();

  constructor(world: World, devices: readonly Device[] = []) {
    this.#world = world;
    this.#devices = devices;
  }

  get bytes(): Uint8Array {
    return this.#world.bytes;
  }
  get view(): DataView {
    return this.#world.view;
  }

  allocate(bytes: number, alignment = 8): number {
    const address = this.#world.arena.allocate(bytes, alignment);
    this.#addresses.add(address);
    return address;
  }

  free(address: number): void {
    if (this.#addresses.delete(address)) this.#world.arena.free(address);
  }

  device(ifindex: number): Device | undefined {
    return this.#devices.find((device) => device.ifindex === ifindex);
  }

  release(): void {
    for (const address of this.#addresses) this.#world.arena.free(address);
    this.#addresses.clear();
  }
}
