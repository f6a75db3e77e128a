/**
 * What the kernel wants to be told of functions: callbacks need their BTF, and so do subprograms that may end before they
 * return. Text programs have none and need none. Kernel: check_btf_func(), check_abnormal_return(), check_ld_imm().
 */
import type { Env, Subprogram } from "./env.ts";
import { reject } from "./failure.ts";

const MOST_RESULT_BYTES = 8;

/** True where the program came from an object that says nothing of this function. */
export const lacksFunctionInfo = ({ program }: Env, subprogram: Subprogram): boolean =>
  program.btf !== undefined && program.functions[subprogram.functionIndex]?.type === undefined;

/** Each subprogram has its record, no other has one. Kernel: check_btf_func_early(), check_btf_func(). */
function checkFunctionCount({ program, subprograms, log }: Env): void {
  const described = program.functions.filter(({ type }) => type !== undefined).length;
  if (described === 0 || described === subprograms.length) return;
  reject({ log }, "EINVAL", "number of funcs in func_info doesn't match number of subprogs");
}

/** Failed packet loads and tail calls return a number for the subprogram that they are in. */
export function checkFunctions(env: Env): void {
  checkFunctionCount(env);
  for (const subprogram of env.subprograms.slice(1)) {
    if (subprogram.hasLegacyPacketAccess) requireNumber(env, subprogram, "LD_ABS");
    if (subprogram.hasTailCall) requireNumber(env, subprogram, "tail_call");
  }
}

function requireNumber(env: Env, subprogram: Subprogram, what: string): void {
  if (lacksFunctionInfo(env, subprogram)) reject(env, "EINVAL", `${what} is not allowed in subprogs without BTF`);
  if (!returnsNumber(env, subprogram)) reject(env, "EINVAL", `${what} is only allowed in functions that return 'int'.`);
}

function returnsNumber({ program }: Env, { functionIndex }: Subprogram): boolean {
  const id = program.functions[functionIndex]?.type;
  if (!program.btf || id === undefined) return true;
  const func = program.btf.typeById(id);
  const proto = func.kind === "func" ? program.btf.typeById(func.type) : null;
  if (proto?.kind !== "func_proto") return true;
  const result = program.btf.resolve(proto.returns);
  if (result.kind === "int") return (program.btf.sizeOf(proto.returns) ?? 0) <= MOST_RESULT_BYTES;
  return result.kind === "enum" || result.kind === "enum64";
}
