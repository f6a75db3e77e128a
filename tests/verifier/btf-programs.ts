/**
 * Programs on typed raw tracepoints that walk from an argument through kernel types: along pointers that the BTF has, and
 * along offsets that it may not have.
 */
import { assembleProgram } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/index.ts";
import type { Btf } from "../../compiler/object/btf/btf.ts";
import type { Random } from "../random/rng.ts";

const SIZES = ["u8", "u16", "u32", "u64", "u64", "u64", "u64"];
const MOST_ARGUMENTS = 12;
const MOST_OFFSET = 32767;

/** Ids of the typedefs that name the kernel's raw tracepoints. */
export function tracepointIds(btf: Btf): number[] {
  const ids: number[] = [];
  for (const id of btf.idsOf("typedef")) if (btf.nameOf(id).startsWith("btf_trace_")) ids.push(id);
  return ids;
}

function onTracepoint(btf: Btf, id: number, lines: readonly string[]): Program {
  const text = ["; prog: tracing license=GPL attach=trace_raw_tp", ...lines, "out:", "r0 = 0", "exit"].join("\n");
  const { program } = assembleProgram(text);
  return { ...program, attachBtf: { id, module: null, btf, name: btf.nameOf(id) } };
}

/** One byte of what each argument points to. */
export function argumentPrograms(btf: Btf, id: number): Program[] {
  return Array.from({ length: MOST_ARGUMENTS }, (_, index) =>
    onTracepoint(btf, id, [`r2 = *(u64 *)(r1 + ${8 * index})`, "r2 = *(u8 *)(r2 + 0)"]),
  );
}

/** A walk of some steps from an argument of one of the tracepoints. */
export function walkProgram(btf: Btf, ids: readonly number[], random: Random): Program {
  const id = random.pick(ids);
  const pointer = btf.resolve(id);
  const proto = pointer.kind === "ptr" ? btf.resolve(pointer.type) : null;
  const parameters = proto?.kind === "func_proto" ? proto.parameters.slice(1) : [];
  const argument = random.below(parameters.length + 1);
  const lines = [`r2 = *(u64 *)(r1 + ${8 * argument})`];
  let struct = targetOf(btf, parameters[argument]?.type ?? 0);
  for (let steps = random.between(1, 5); steps > 0; steps--) {
    if (random.oneIn(4)) lines.push("if r2 == 0 goto out");
    if (random.oneIn(60)) lines.push("*(u64 *)(r2 + 0) = 1");
    if (random.oneIn(60)) lines.push("r2 += 8");
    const member = random.oneIn(8) ? null : anyMember(btf, struct, random);
    if (member === null) lines.push(`r2 = *(${random.pick(SIZES)} *)(r2 + ${4 * random.below(200)})`);
    else lines.push(`r2 = *(${member.size} *)(r2 + ${member.offset})`);
    struct = member === null ? 0 : targetOf(btf, member.type);
  }
  return onTracepoint(btf, id, lines);
}

/** Id of the type that a pointer points to, 0 where `id` is no pointer. */
function targetOf(btf: Btf, id: number): number {
  const type = id === 0 ? null : btf.resolve(id);
  return type?.kind === "ptr" ? btf.skipModifiers(type.type) : 0;
}

interface Place {
  readonly offset: number;
  readonly type: number;
  readonly size: string;
}

/** Some member of a struct, or of one inside it; mostly pointers. */
function anyMember(btf: Btf, id: number, random: Random): Place | null {
  let type = id;
  let offset = 0;
  for (let depth = 0; depth < 6; depth++) {
    const struct = type === 0 ? null : btf.resolve(type);
    if (struct?.kind === "array") {
      offset += (btf.sizeOf(struct.element) ?? 0) * random.below(struct.length + 1);
      type = struct.element;
      continue;
    }
    if ((struct?.kind !== "struct" && struct?.kind !== "union") || struct.members.length === 0) break;
    const pointers = struct.members.filter((member) => targetOf(btf, member.type) !== 0);
    const member = random.pick(pointers.length > 0 && !random.oneIn(3) ? pointers : struct.members);
    offset += Math.floor(member.offsetBits / 8);
    type = member.type;
  }
  if (type === id || offset > MOST_OFFSET) return null;
  const bytes = btf.sizeOf(type) ?? 8;
  return { offset, type, size: bytes === 1 ? "u8" : bytes === 2 ? "u16" : bytes === 4 ? "u32" : "u64" };
}
