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

describe("bpf_trace_vprintk", () => {
  const print = (format: string, ...args: number[]): { result: number; lines: string[] } => {
    const host = new TestHost();
    const text = new TextEncoder().encode(`${format}\0`);
    const data = new Uint8Array(new BigUint64Array(args.map(BigInt)).buffer);
    const place = args.length === 0 ? 0 : host.place(data);
    const result = HELPER_IMPLEMENTATIONS.bpf_trace_vprintk(host, host.place(text), text.length, place, data.length)!;
    return { result, lines: host.lines };
  };

  it("takes twelve arguments from memory", () => {
    const numbers = Array.from({ length: 12 }, (_, index) => index);
    expect(print(numbers.map(() => "%d").join(" "), ...numbers)).toEqual({
      result: 25,
      lines: ["0 1 2 3 4 5 6 7 8 9 10 11"],
    });
    expect(print("%d", ...numbers, 12).result).toBe(-22);
    expect(print("nothing")).toEqual({ result: 7, lines: ["nothing"] });
  });

  it("refuses sizes that are no whole number of arguments, and data that is not there", () => {
    const host = new TestHost();
    const format = host.place(new TextEncoder().encode("%d\0"));
    const run = (data: number, bytes: number) => HELPER_IMPLEMENTATIONS.bpf_trace_vprintk(host, format, 3, data, bytes);
    expect(run(format, 7)).toBe(-22);
    expect(run(0, 8)).toBe(-22);
  });
});
