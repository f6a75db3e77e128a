/** bpf_trace_printk: its own limits; the format language is tested with bpf_snprintf. Kernel: bpf_trace_printk(). */
import { describe, expect, it } from "vitest";
import { HELPER_IMPLEMENTATIONS } from "../../helpers/index.ts";
import { TestHost } from "./host.ts";

function print(format: string, ...args: number[]): { result: number; lines: string[] } {
  return printBytes(new TextEncoder().encode(`${format}\0`), ...args);
}

function printBytes(format: Uint8Array, ...args: number[]): { result: number; lines: string[] } {
  const host = new TestHost();
  const words = [...args, 0, 0, 0].slice(0, 3).flatMap((value) => [value, 0]);
  const result = HELPER_IMPLEMENTATIONS.bpf_trace_printk(host, host.place(format), format.length, ...words)!;
  return { result, lines: host.lines };
}

describe("bpf_trace_printk", () => {
  it("returns the length of the line", () => {
    expect(print("pid %d of %u: %c", 7, 9, 65)).toEqual({ result: 13, lines: ["pid 7 of 9: A"] });
  });

  it("takes three arguments", () => {
    expect(print("%d %d %d %d", 1, 2, 3)).toEqual({ result: -22, lines: [] });
  });

  it("wants the terminating zero within the size, and ignores what is behind it", () => {
    expect(printBytes(new TextEncoder().encode("no end"))).toEqual({ result: -22, lines: [] });
    expect(printBytes(new TextEncoder().encode("short\0%y"))).toEqual({ result: 5, lines: ["short"] });
  });

  it("cuts a line at 1023 bytes and still returns its length", () => {
    const { result, lines } = print("%1200d", 1);
    expect(result).toBe(1200);
    expect(lines).toEqual([" ".repeat(1023)]);
  });
});
