/** Probe reads: what the arena answers itself, what the host answers, and what a fault leaves. */
import { beforeEach, describe, expect, it } from "vitest";
import { ERRNO, NULL_GUARD_BYTES, POINTER_TAG } from "../../spec/index.ts";
import { makeWorld, place, type TestWorld } from "./world.ts";

const KERNEL = 0xffff_8880_1234_5000n;
const USER = 0x7ffd_1234_5000n;
const BYTES = Uint8Array.from({ length: 64 }, (_, i) => i + 1);

let world: TestWorld;
let to: number;

beforeEach(() => {
  world = makeWorld();
  to = place(world, new Uint8Array(600).fill(0xee));
  world.foreign = (address, space) => {
    if (space === "kernel" && address === KERNEL) return BYTES;
    if (space === "user" && address === USER) return BYTES;
    return null;
  };
});

const tagged = (address: number) => (BigInt(POINTER_TAG) << 32n) | BigInt(address);
const result = (length: number) => [...world.arena.bytes.slice(to, to + length)];
const text = (value: string) => new TextEncoder().encode(value);

describe("probe reads", () => {
  it("copies from the arena by its tag", () => {
    const from = place(world, BYTES);
    for (const size of [0, 1, 2, 3, 4, 7, 8, 13, 64]) {
      world.arena.bytes.fill(0xee, to, to + 100);
      expect(world.library.bpf_probe_read_kernel(to, size, tagged(from))).toBe(0);
      expect(result(size + 1)).toEqual([...BYTES.subarray(0, size), 0xee]);
    }
    const large = place(world, new Uint8Array(500).fill(7));
    expect(world.library.bpf_probe_read(to, 500, tagged(large))).toBe(0);
    expect(result(501)).toEqual([...new Array(500).fill(7), 0xee]);
  });

  it("faults outside the arena: in the null guard, behind its end, without the tag", () => {
    const end = world.arena.bytes.length;
    for (const address of [
      tagged(0),
      tagged(NULL_GUARD_BYTES - 1),
      tagged(end),
      tagged(end - 4),
      tagged(0xffff_fffc),
    ]) {
      world.arena.bytes.fill(0xee, to, to + 16);
      expect(world.library.bpf_probe_read_kernel(to, 8, address), address.toString(16)).toBe(-ERRNO.EFAULT);
      expect(result(9)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0xee]);
    }
    expect(world.library.bpf_probe_read_kernel(to, 4, tagged(end - 4))).toBe(0);
  });

  it("asks the host for what came with the event, kernel and user apart", () => {
    expect(world.library.bpf_probe_read_kernel(to, 5, KERNEL)).toBe(0);
    expect(result(6)).toEqual([1, 2, 3, 4, 5, 0xee]);
    expect(world.library.bpf_probe_read_user(to, 3, USER)).toBe(0);
    expect(world.library.bpf_probe_read_user(to, 65, USER)).toBe(-ERRNO.EFAULT);
    expect(world.library.bpf_probe_read(to, 4, USER)).toBe(0);
    expect(world.library.bpf_probe_read(to, 4, KERNEL)).toBe(0);
  });

  it("answers -ERANGE to a kernel read of what is no kernel address, -EFAULT to a user read of a kernel address", () => {
    expect(world.library.bpf_probe_read_kernel(to, 4, USER)).toBe(-ERRNO.ERANGE);
    expect(result(5)).toEqual([0, 0, 0, 0, 0xee]);
    expect(world.library.bpf_probe_read_kernel(to, 4, 0n)).toBe(-ERRNO.ERANGE);
    expect(world.library.bpf_probe_read_kernel_str(to, 4, USER)).toBe(-ERRNO.ERANGE);
    expect(world.library.bpf_probe_read(to, 4, 0x7fff_ffff_f000n)).toBe(-ERRNO.ERANGE);
    expect(world.library.bpf_probe_read(to, 4, 0n)).toBe(-ERRNO.EFAULT);
    expect(world.library.bpf_probe_read_user(to, 4, KERNEL)).toBe(-ERRNO.EFAULT);
    expect(world.library.bpf_probe_read_user(to, 4, tagged(place(world, BYTES)))).toBe(-ERRNO.EFAULT);
  });

  it("reads strings with their zero, and ends what it cuts off", () => {
    const from = tagged(place(world, text("hello\0rest")));
    const read = world.library.bpf_probe_read_kernel_str;
    expect(read(to, 16, from)).toBe(6);
    expect(result(8)).toEqual([...text("hello"), 0, 0xee, 0xee]);
    expect(read(to, 6, from)).toBe(6);
    expect(read(to, 5, from)).toBe(5);
    expect(result(5)).toEqual([...text("hell"), 0]);
    expect(read(to, 1, from)).toBe(1);
    expect(result(2)).toEqual([0, 101]);
    expect(read(to, 0, from)).toBe(0);
    expect(read(to, 3, tagged(5))).toBe(-ERRNO.EFAULT);
    expect(result(4)).toEqual([0, 0, 0, 108]);
  });

  it("faults where a string runs out of the arena", () => {
    const end = world.arena.bytes.length;
    world.arena.bytes.fill(65, end - 3, end);
    expect(world.library.bpf_probe_read_kernel_str(to, 8, tagged(end - 3))).toBe(-ERRNO.EFAULT);
    expect(result(9)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0xee]);
    expect(world.library.bpf_probe_read_kernel_str(to, 3, tagged(end - 3))).toBe(3);
    expect(result(3)).toEqual([65, 65, 0]);
  });

  it("reads foreign strings; a user string zeroes the rest of its last word, as strncpy_from_user does", () => {
    world.foreign = () => text("hello\0rest and more");
    expect(world.library.bpf_probe_read_kernel_str(to, 16, KERNEL)).toBe(6);
    expect(result(9)).toEqual([...text("hello"), 0, 0xee, 0xee, 0xee]);
    world.arena.bytes.fill(0xee, to, to + 16);
    expect(world.library.bpf_probe_read_user_str(to, 16, USER)).toBe(6);
    expect(result(9)).toEqual([...text("hello"), 0, 0, 0, 0xee]);
    world.arena.bytes.fill(0xee, to, to + 16);
    expect(world.library.bpf_probe_read_str(to, 7, USER)).toBe(6);
    expect(result(8)).toEqual([...text("hello"), 0, 0xee, 0xee]);
    expect(world.library.bpf_probe_read_user_str(to, 4, USER)).toBe(4);
    expect(result(5)).toEqual([...text("hel"), 0, 111]);
    world.foreign = () => null;
    expect(world.library.bpf_probe_read_user_str(to, 4, USER)).toBe(-ERRNO.EFAULT);
  });

  it("loads through kernel pointers, 0 where nothing is mapped", () => {
    const from = place(world, BYTES);
    expect(world.library.probe_load(tagged(from), 1)).toBe(1n);
    expect(world.library.probe_load(tagged(from + 1), 2)).toBe(0x0302n);
    expect(world.library.probe_load(tagged(from + 1), 4)).toBe(0x0504_0302n);
    expect(world.library.probe_load(tagged(from + 3), 8)).toBe(0x0b0a_0908_0706_0504n);
    expect(world.library.probe_load(KERNEL, 4)).toBe(0x0403_0201n);
    for (const address of [0n, 16n, USER, tagged(100), KERNEL + 8n])
      expect(world.library.probe_load(address, 8)).toBe(0n);
  });
});
