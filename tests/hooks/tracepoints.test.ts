/** Tracepoints of an embedding program: defined once, known to the verifier, fired with named arguments. */
import { fileURLToPath } from "node:url";
import { describe, expect, expectTypeOf, it } from "vitest";
import { defineTracepoint, type LoadedObject, type LoadOptions, load, tracepointsOf } from "../../api/index.ts";
import { AttachError, ObjectError, UsageError, VerifierError } from "../../base/index.ts";
import { TARGET } from "./probes.ts";

const REQUESTS = fileURLToPath(new URL("fixtures/requests.bpf.o", import.meta.url));
const HTTP_REQUEST = defineTracepoint("http_request", {
  args: { method: "str", status: "u32", ns: "u64", failed: "bool", offset: "s16" },
});

const loadPrograms = (programs: readonly string[], options: LoadOptions = {}): Promise<LoadedObject> =>
  load(REQUESTS, { tracepoints: [HTTP_REQUEST], programs, ...options });

function records(object: LoadedObject): () => unknown[] {
  const seen: unknown[] = [];
  const reading = object.openRecords((record) => seen.push(record.fields), { types: { requests: "request" } });
  return () => {
    reading.drain();
    return seen.splice(0);
  };
}

describe("a defined tracepoint", () => {
  it.each(["on_raw", "on_typed"])("gives %s its arguments, zero-extended from their own width", async (name) => {
    await using object = await loadPrograms([name]);
    const seen = records(object);
    const requests = object.runtime.tracepoint(HTTP_REQUEST);
    expect(requests.enabled).toBe(false);
    requests.fire({ method: "GET", status: 200, ns: 1n, failed: false, offset: 0 });
    object.program(name).attach({ cookie: 9n });
    expect(requests.enabled).toBe(true);
    requests.fire({ method: "GET", status: 200, ns: 12n, failed: false, offset: -2 });
    requests.fire({ method: "größer ✓", status: -1, ns: 2 ** 40, failed: true, offset: 0x1_0001 });
    requests.fire({ method: "x".repeat(5000), status: 0, ns: -1, failed: true, offset: 1 });
    const cookie = 9n;
    expect(seen()).toEqual([
      { method: "GET", status: 200n, ns: 12n, failed: 0n, offset: 0xfffen, cookie },
      { method: "größer ✓", status: 0xffff_ffffn, ns: 2n ** 40n, failed: 1n, offset: 1n, cookie },
      { method: "x".repeat(31), status: 0n, ns: 2n ** 64n - 1n, failed: 1n, offset: 1n, cookie },
    ]);
  });

  it("is found beside the kernel's own, and with the event's CPU, time and task", async () => {
    await using object = await loadPrograms(["on_typed"], { ...TARGET, runtimeOptions: { cpus: 2 } });
    const seen = records(object);
    object.attach();
    const requests = object.runtime.tracepoint(HTTP_REQUEST);
    requests.fire({ method: "PUT", status: 1, ns: 2, failed: false, offset: 3 }, { cpu: 1, timeNs: 5n });
    expect(seen()).toMatchObject([{ method: "PUT", status: 1n, ns: 2n, offset: 3n }]);
  });

  it("may be fired while it runs: each event keeps its own arguments", async () => {
    await using object = await loadPrograms(["on_raw"]);
    const seen = records(object);
    object.attach();
    const requests = object.runtime.tracepoint(HTTP_REQUEST);
    requests.fire({
      get method() {
        requests.fire({ method: "inner", status: 2, ns: 0, failed: false, offset: 0 });
        return "outer";
      },
      status: 1,
      ns: 0,
      failed: false,
      offset: 0,
    });
    expect(seen()).toMatchObject([
      { method: "inner", status: 2n },
      { method: "outer", status: 1n },
    ]);
  });

  it("refuses programs that read more than it gives", async () => {
    await using object = await loadPrograms(["reads_too_much"]);
    object.runtime.tracepoint(HTTP_REQUEST);
    expect(() => object.attach()).toThrow(expect.objectContaining({ code: "ATTACH_TYPE", errno: "EINVAL" }));
    expect(() => object.attach()).toThrow(AttachError);
    expect([...object.runtime.hooks].every((hook) => hook.links.length === 0)).toBe(true);
    await expect(loadPrograms(["typed_reads_too_much"])).rejects.toThrow(VerifierError);
    await expect(loadPrograms(["on_typed"], { tracepoints: [] })).rejects.toThrow(ObjectError);
  });

  it("is one per runtime and name", async () => {
    await using object = await loadPrograms(["on_raw"]);
    const other = defineTracepoint("http_request", { args: { status: "u32" } });
    const made = object.runtime.tracepoint(HTTP_REQUEST);
    expect(object.runtime.tracepoint(HTTP_REQUEST)).toBe(made);
    expect(() => object.runtime.tracepoint(other)).toThrow(expect.objectContaining({ errno: "EEXIST" }));
  });

  it("has typed arguments", () => {
    type Fire = Parameters<ReturnType<LoadedObject["runtime"]["tracepoint"]>["fire"]>[0];
    expectTypeOf<Fire>().toBeObject();
    const check = (object: LoadedObject): void => {
      const requests = object.runtime.tracepoint(HTTP_REQUEST);
      // @ts-expect-error the status is a number
      requests.fire({ method: "GET", status: "200", ns: 1n, failed: false, offset: 0 });
      // @ts-expect-error the method is missing
      requests.fire({ status: 200, ns: 1n, failed: false, offset: 0 });
    };
    expect(check).toBeTypeOf("function");
  });

  it("is refused where it is no sound definition", () => {
    const define = (name: string, args: object) => () => defineTracepoint(name, { args: args as never });
    expect(define("no-name", {})).toThrow(UsageError);
    expect(define("ok", { "a b": "u32" })).toThrow(UsageError);
    expect(define("ok", { a: "u33" })).toThrow("unknown type u33");
    expect(define("ok", { a: "constructor" })).toThrow(UsageError);
    const many = Object.fromEntries(Array.from({ length: 13 }, (_, index) => [`a${index}`, "u8"]));
    expect(define("ok", many)).toThrow("13 arguments, 12 at most");
    expect(tracepointsOf({ a: { b: "u8" } })).toEqual([{ name: "a", args: { b: "u8" } }]);
    for (const wrong of [null, [], 1, { a: 1 }, { a: ["u8"] }]) expect(() => tracepointsOf(wrong)).toThrow(UsageError);
  });
});
