/**
 * Which parameters of a global function are the program's context: pointers to the struct that its type of program knows
 * by name, or what is tagged so and may be it. Kernel: btf_is_prog_ctx_type(), btf_validate_prog_ctx_type().
 */
import type { ProgramTypeName } from "../../spec/program-types.ts";
import type { Btf } from "../object/btf/btf.ts";
import type { BtfType } from "../object/btf/types.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";

/** The kernel's own struct behind a context's. */
const PROJECTIONS: Readonly<Record<string, string>> = { __sk_buff: "sk_buff", xdp_md: "xdp_buff" };
/** What a probe's context is called: a typedef, but a struct of that name will do. */
const KPROBE_TYPEDEF = "bpf_user_pt_regs_t";

/** Types of programs whose contexts have no struct with a name. */
const NAMELESS: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  "tracepoint",
  "tracing",
  "lsm",
  "struct_ops",
  "ext",
  "syscall",
  "lirc_mode2",
]);

const isStruct = (type: BtfType): boolean => type.kind === "struct" || type.kind === "union";

/** `pointed`: what the parameter points to. */
export function isContext(env: Env, btf: Btf, pointed: number): boolean {
  const { type } = env.program;
  if (type === "kprobe" && typedefOf(btf, pointed) === KPROBE_TYPEDEF) return true;
  const target = btf.resolve(pointed);
  if (!isStruct(target) || NAMELESS.has(type)) return false;
  if (type === "kprobe" && target.name === KPROBE_TYPEDEF) return true;
  return target.name === env.ctx.name || target.name === PROJECTIONS[env.ctx.name];
}

/** Rejects what cannot be the context though it is tagged as it. */
export function requireContext(env: Env, btf: Btf, pointed: number, index: number): void {
  const { type } = env.program;
  const isProbe = type === "kprobe" || type === "perf_event";
  if (isProbe && typedefOf(btf, pointed) === KPROBE_TYPEDEF) return;
  const target = btf.resolve(pointed);
  if (target.kind === "void") return;
  if (target.name === "") reject(env, "EINVAL", `arg#${index} type doesn't have a name`);
  if (isOtherContext(env, target)) return;
  if (NAMELESS.has(type)) reject(env, "EINVAL", `arg#${index} should be void pointer`);
  if (!isStruct(target) || target.name !== env.ctx.name) {
    reject(env, "EINVAL", `arg#${index} should be \`struct ${env.ctx.name} *\``);
  }
}

/** What else the kernel takes: registers, words of arguments, the struct of an iterator, anything. */
function isOtherContext({ program }: Env, target: BtfType): boolean {
  const isWord = target.kind === "int" && target.size === 8;
  const { name } = target;
  switch (program.type) {
    case "kprobe":
    case "perf_event":
      return isStruct(target) && name === "pt_regs";
    case "raw_tracepoint":
    case "raw_tracepoint_writable":
    case "lsm":
    case "struct_ops":
      return isWord;
    case "tracing":
      if (program.attachType === "trace_iter") return isStruct(target) && name.startsWith("bpf_iter__");
      if (program.attachType === "trace_raw_tp" && isStruct(target) && name === "bpf_raw_tracepoint_args") return true;
      return isWord;
    case "tracepoint":
    case "syscall":
    case "ext":
      return true;
    default:
      return false;
  }
}

/** The name of the first typedef on the way. */
function typedefOf(btf: Btf, id: number): string | null {
  for (let at = id; ; ) {
    const type = btf.typeById(at);
    if (type.kind === "typedef") return type.name;
    if (type.kind !== "const" && type.kind !== "volatile" && type.kind !== "restrict" && type.kind !== "type_tag") {
      return null;
    }
    at = type.type;
  }
}
