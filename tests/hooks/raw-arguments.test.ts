/**
 * The rows that make raw arguments of recorded tracepoints, held to the running kernel: the prototype that its BTF has of each raw
 * tracepoint, and the records as its tracefs describes them.
 */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createRuntime, readKernel } from "../../api/index.ts";
import { findTracepoint, kernelLayoutsOf } from "../../compiler/front.ts";
import { prototypeOf } from "../../compiler/object/btf/prototype.ts";
import { parseFormat } from "../../runtime/sources/format.ts";
import { RawEncoder } from "../../runtime/sources/raw-arguments.ts";
import { type ArgumentSource, type RawArguments, rawArgumentsOf } from "../../spec/index.ts";

const KERNEL = "/sys/kernel/btf/vmlinux";
const EVENTS = "/sys/kernel/tracing/events";
const CAN_RUN = existsSync(KERNEL) && existsSync(EVENTS);

/** What there must be. */
const NAMES = [
  ...["sched_switch", "sched_wakeup", "sched_wakeup_new", "sched_waking"],
  ...["sched_process_fork", "sched_process_exec", "sched_process_exit", "sys_enter", "sys_exit"],
  ...["block_rq_issue", "block_rq_complete", "block_rq_insert"],
  ...["irq_handler_entry", "irq_handler_exit", "softirq_entry", "softirq_exit", "softirq_raise"],
  ...["signal_generate", "signal_deliver", "net_dev_queue", "net_dev_xmit", "netif_receive_skb", "netif_rx"],
  ...["kfree_skb", "consume_skb", "inet_sock_set_state", "page_fault_user", "page_fault_kernel", "task_rename"],
];

describe.skipIf(!CAN_RUN)("raw arguments of recorded events", () => {
  const { targetBtf } = CAN_RUN ? readKernel(KERNEL) : { targetBtf: null! };
  const layouts = CAN_RUN ? kernelLayoutsOf(targetBtf) : {};

  /** Bytes of a number, or the struct that is pointed to, of each argument in the kernel's prototype. */
  const parametersOf = (name: string): (number | string)[] => {
    const prototype = prototypeOf(targetBtf, findTracepoint(targetBtf, name)!, "ptr")!;
    return prototype.parameters.slice(1).map(({ type }) => {
      const argument = targetBtf.resolve(type);
      if (argument.kind !== "ptr") return targetBtf.sizeOf(type)!;
      const target = targetBtf.resolve(argument.type);
      return "name" in target && target.name !== "" ? target.name : "void";
    });
  };
  const formatOf = ({ event }: RawArguments) =>
    parseFormat(readFileSync(`${EVENTS}/${event}/format`, "latin1"), event.split("/")[0]!);

  function pointedTo(source: ArgumentSource): string | null {
    if ("object" in source) return source.object;
    if ("task" in source) return "task_struct";
    return "text" in source ? "char" : null;
  }

  it.each(NAMES)("of %s are those of its prototype", (name) => {
    const row = rawArgumentsOf(name)!;
    const parameters = parametersOf(name);
    expect(row.args.length).toBe(parameters.length);
    const { fields } = formatOf(row);
    for (const [index, source] of row.args.entries()) {
      const parameter = parameters[index]!;
      // an address that points to nothing that programs read
      if (parameter === "void") expect(source).toHaveProperty("field");
      else expect(pointedTo(source)).toBe(typeof parameter === "number" ? null : parameter);
    }
    for (const member of row.args.flatMap((source) => membersOf(source))) {
      for (const used of fieldsOf(member)) expect(fields.map((field) => field.name)).toContain(used);
    }
  });

  it.each(NAMES)("of %s have numbers as wide as the kernel's, zeros above", (name) => {
    const row = rawArgumentsOf(name)!;
    const parameters = parametersOf(name);
    const format = formatOf(row);
    const { world } = createRuntime();
    world.kernel.use(layouts);
    const [payload, ctx] = [world.arena.allocate(8192), world.arena.allocate(96)];
    const shownObjects = new Set<number>();
    const encoder = new RawEncoder(row, format, rawWorld(world), shownObjects);
    for (const fill of [0xff, 0x81, 0x01]) {
      world.bytes.fill(fill, payload, payload + format.sizeBytes);
      // where variable data lies: nowhere
      for (const { location, offsetBytes } of format.fields) {
        if (location !== null) world.view.setUint32(payload + offsetBytes, format.sizeBytes, true);
      }
      shownObjects.clear();
      expect(encoder.encode(payload, world.idleTask, 0, ctx)).toBe(true);
      for (const [index, source] of row.args.entries()) {
        const value = world.view.getBigUint64(ctx + index * 8, true);
        const parameter = parameters[index]!;
        if (typeof parameter === "number") expect(value).toBe(BigInt.asUintN(8 * parameter, value));
        if (!("field" in source) || Object.keys(source).length > 1) continue;
        const field = format.fields.find((each) => each.name === source.field)!;
        let exact = 0n;
        for (let at = 0; at < field.sizeBytes; at++) exact |= BigInt(fill) << BigInt(8 * at);
        if (field.signed) exact = BigInt.asIntN(8 * field.sizeBytes, exact);
        expect(value).toBe(BigInt.asUintN(8 * (typeof parameter === "number" ? parameter : 8), exact));
      }
    }
  });

  it("know the state that a task left its CPU with from what is shown of it", () => {
    const row = rawArgumentsOf("sched_switch")!;
    const format = formatOf(row);
    const { world } = createRuntime();
    world.kernel.use(layouts);
    const [payload, ctx] = [world.arena.allocate(256), world.arena.allocate(96)];
    const shownObjects = new Set<number>();
    const encoder = new RawEncoder(row, format, rawWorld(world), shownObjects);
    const state = format.fields.find(({ name }) => name === "prev_state")!;
    // R+, R, S, D, Z, X, I: TASK_DEAD of what ended, TASK_IDLE of what idles
    const shown = [0x100, 0, 1, 2, 0x20, 0x10, 0x80];
    const left = shown.map((value) => {
      world.view.setBigUint64(payload + state.offsetBytes, BigInt(value), true);
      shownObjects.clear();
      encoder.encode(payload, world.idleTask, 0, ctx);
      return [0, 24].map((at) => world.view.getUint32(ctx + at, true));
    });
    expect(left).toEqual([
      [1, 0],
      [0, 0],
      [0, 1],
      [0, 2],
      [0, 0x80],
      [0, 0x80],
      [0, 0x402],
    ]);
  });
});

function rawWorld(world: ReturnType<typeof createRuntime>["world"]) {
  const { kernel, view, bytes, idleTask } = world;
  return { kernel, view, bytes, task: () => idleTask };
}

/** The argument, and what is set of the object that it points to. */
function membersOf(source: ArgumentSource): ArgumentSource[] {
  const members = "members" in source && source.members ? Object.values(source.members) : [];
  return [source, ...members.flatMap(membersOf)];
}

/** Fields of the record that it is made of. */
function fieldsOf(source: ArgumentSource): string[] {
  if ("field" in source) return [source.field];
  if ("text" in source) return [source.text];
  if ("bytes" in source) return [source.bytes];
  if ("blockStatus" in source) return [source.blockStatus];
  if ("operation" in source) return [source.operation];
  if ("address" in source) return [source.address];
  if ("key" in source) return [...source.key];
  return "task" in source && source.task !== "current" ? [source.task] : [];
}
