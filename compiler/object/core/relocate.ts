/**
 * CO-RE: makes instructions that depend on the layout of the target's types fit the target. Candidates are the target's
 * types of the same name but for a `___flavour`; those that match must agree. A relocation that cannot be resolved is the
 * failure of its function alone. Source: libbpf, bpf_object__relocate_core() and bpf_core_calc_relo_insn().
 */
import { BpfError, ObjectError } from "../../../base/index.ts";
import { INSN_BYTES } from "../../../spec/isa.ts";
import { isWideImmediate } from "../../asm/instruction.ts";
import type { Btf } from "../btf/btf.ts";
import type { BtfExt, CoreRelocation } from "../btf/ext.ts";
import type { FunctionTable, ObjectFunction } from "../functions.ts";
import { insnAt } from "../functions.ts";
import type { Layout } from "../layout.ts";
import type { Target } from "../target.ts";
import { areKindsCompatible } from "./compatible.ts";
import { CORE_KINDS, type CoreKind } from "./kinds.ts";
import { describeMissing } from "./missing.ts";
import { isPoison, patchInsn } from "./patch.ts";
import { matchSpec, parseSpec, type Spec } from "./spec.ts";
import { Steps } from "./steps.ts";
import { type CoreValue, coreValue } from "./value.ts";

export function applyCoreRelocations(
  functions: FunctionTable,
  layout: Layout,
  local: Btf,
  ext: BtfExt,
  target: Target,
): void {
  const relocator = new Relocator(local, target);
  for (const [name, relocations] of ext.relocations) {
    const section = layout.code.find((code) => code.name === name) ?? null;
    for (const relocation of relocations) {
      const fn = functions.find(section, Math.floor(relocation.offsetBytes / INSN_BYTES));
      // What is left of an overridden weak function belongs to nobody.
      if (fn === null || fn.failure !== null) continue;
      try {
        relocator.apply(fn, relocation);
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        fn.failure = placed(error, fn, relocation);
      }
    }
  }
}

/** A type of the target. */
interface Candidate {
  readonly btf: Btf;
  readonly id: number;
}

class Relocator {
  readonly #local: Btf;
  readonly #target: Target;
  readonly #steps = new Steps();
  /** by local type; shrinks to those that matched, so that later relocations of the type agree with earlier ones */
  readonly #candidates = new Map<number, readonly Candidate[]>();

  constructor(local: Btf, target: Target) {
    this.#local = local;
    this.#target = target;
  }

  apply(fn: ObjectFunction, relocation: CoreRelocation): void {
    if (relocation.offsetBytes % INSN_BYTES !== 0)
      throw new ObjectError("RELOCATION_MALFORMED", "CO-RE relocation inside an instruction");
    const slot = relocation.offsetBytes / INSN_BYTES - fn.start;
    const insn = insnAt(fn, slot);
    const second = isWideImmediate(insn) && slot + 1 < fn.count ? insnAt(fn, slot + 1) : undefined;
    const kind = CORE_KINDS[relocation.kind];
    if (kind === undefined)
      throw new ObjectError("RELOCATION_MALFORMED", `CO-RE relocation of unknown kind ${relocation.kind}`);
    const local = parseSpec(this.#local, kind, relocation.type, relocation.access);
    const patched = patchInsn(insn, second, this.#resolve(kind, local, relocation));
    patched.forEach((one, index) => {
      fn.patches.set(slot + index, one);
    });
    if (isPoison(patched[0]!)) fn.missing.set(slot, describeMissing(kind, local, this.#hasCandidates(relocation.type)));
  }

  #hasCandidates(type: number): boolean {
    return this.#target.btf !== null && this.#candidatesOf(type, this.#target.btf).length > 0;
  }

  #resolve(kind: CoreKind, local: Spec, relocation: CoreRelocation): CoreValue {
    if (kind === "typeIdLocal") return coreValue(kind, local, local);
    if (this.#target.btf === null)
      throw new ObjectError(
        "BTF_MISSING",
        "the program depends on the layout of kernel types (CO-RE) and there is no target BTF",
      );
    let chosen: { spec: Spec; value: CoreValue } | null = null;
    const matching: Candidate[] = [];
    for (const candidate of this.#candidatesOf(relocation.type, this.#target.btf)) {
      const spec = matchSpec(kind, local, candidate.btf, candidate.id, this.#steps);
      if (spec === null) continue;
      const value = coreValue(kind, local, spec);
      chosen ??= { spec, value };
      requireAgreement(this.#local, relocation, chosen, { spec, value });
      matching.push(candidate);
    }
    if (chosen === null) return coreValue(kind, local, null);
    this.#candidates.set(relocation.type, matching);
    return chosen.value;
  }

  /** Types of the kernel; only where it has none, those of all modules. */
  #candidatesOf(type: number, target: Btf): readonly Candidate[] {
    const known = this.#candidates.get(type);
    if (known !== undefined) return known;
    const name = this.#local.nameOf(type);
    if (name === "") throw new ObjectError("CORE_UNRESOLVED", `CO-RE relocation of type ${type}, which has no name`);
    const kind = this.#local.kindOf(type);
    const candidates: Candidate[] = [];
    const search = (btf: Btf): void => {
      for (const id of btf.ownCandidates(name)) {
        this.#steps.take();
        if (areKindsCompatible(btf.kindOf(id), kind)) candidates.push({ btf, id });
      }
    };
    search(target);
    if (candidates.length === 0) for (const { btf } of this.#target.modules) search(btf);
    this.#candidates.set(type, candidates);
    return candidates;
  }
}

function requireAgreement(
  local: Btf,
  relocation: CoreRelocation,
  first: { spec: Spec; value: CoreValue },
  next: { spec: Spec; value: CoreValue },
): void {
  const isSame =
    first.spec.bitOffset === next.spec.bitOffset &&
    first.value.isMissing === next.value.isMissing &&
    first.value.value === next.value.value;
  if (isSame) return;
  throw new ObjectError(
    "CORE_AMBIGUOUS",
    `the target's types ${first.spec.root} and ${next.spec.root} both match ${local.nameOf(relocation.type)} and disagree`,
  );
}

/** The error, with the place of the relocation. */
function placed(error: BpfError, fn: ObjectFunction, relocation: CoreRelocation): BpfError {
  if (!(error instanceof ObjectError)) return error;
  return new ObjectError(error.code as ConstructorParameters<typeof ObjectError>[0], error.message, {
    where: { section: fn.section.name, program: fn.name, offsetBytes: relocation.offsetBytes },
    errno: error.errno ?? undefined,
    hint: error.hint ?? undefined,
    cause: error,
  });
}
