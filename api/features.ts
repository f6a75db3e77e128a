/**
 * What a kernel can do: by the enums of its BTF where they are there (they count backports, too), else by its version and
 * the `since` columns of the tables. With neither nothing is held against it.
 */
import { type Btf, findKernelVersion, type Insn } from "../compiler/front.ts";
import {
  ATTACH_TYPES,
  type AttachTypeName,
  attachTypeSince,
  findSection,
  helperName,
  helperSince,
  isa,
  type MapTypeName,
  mapTypeByName,
  type ProgramTypeName,
  programType,
} from "../spec/index.ts";

const { ALU, ATOMIC, CLASS, JMP, MODE, PSEUDO_CALL } = isa;

export interface Lacking {
  readonly name: string;
  readonly since: string | null;
}

export class Features {
  readonly #btf: Btf;
  readonly #version: number | null;
  readonly #enums = new Map<string, ReadonlySet<number> | null>();

  constructor(btf: Btf, version: number | null) {
    this.#btf = btf;
    this.#version = version;
  }

  lacksMapType(name: MapTypeName): Lacking | null {
    const spec = mapTypeByName(name)!;
    return this.#lacks("bpf_map_type", spec.id, name, spec.since);
  }

  lacksProgramType(name: ProgramTypeName): Lacking | null {
    const { id, since } = programType(name);
    return this.#lacks("bpf_prog_type", id, name, since);
  }

  /** libbpf leaves it out where the kernel does not know it and the section says that it may. */
  lacksAttachType(name: AttachTypeName, section: string): Lacking | null {
    const spec = findSection(section.replace(/^\?/, ""));
    if (spec?.attachTypeOptional || spec?.prefix.startsWith("usdt")) return null;
    return this.#lacks("bpf_attach_type", ATTACH_TYPES.indexOf(name), name, attachTypeSince(name));
  }

  /** The helper that the instruction calls and the kernel has not. */
  lacksHelper({ opcode, src, imm }: Insn): Lacking | null {
    if (opcode !== (CLASS.JMP | JMP.CALL) || src !== PSEUDO_CALL.HELPER) return null;
    const since = helperSince(imm);
    const name = since === null ? `helper ${imm}` : helperName(imm);
    return this.#lacks("bpf_func_id", imm, name, since);
  }

  /** Instruction forms have no enum: only the version tells. */
  lacksInstruction(insn: Insn): Lacking | null {
    const form = formOf(insn);
    return form === null || form.since === null || !this.#isOlder(form.since) ? null : form;
  }

  #lacks(enumeration: string, number: number, name: string, since: string | null): Lacking | null {
    const known = this.#valuesOf(enumeration);
    const lacks = known !== null ? !known.has(number) : since !== null && this.#isOlder(since);
    return lacks ? { name, since } : null;
  }

  /** Values of an enum of the kernel; null where its BTF has none of that name. */
  #valuesOf(name: string): ReadonlySet<number> | null {
    const cached = this.#enums.get(name);
    if (cached !== undefined) return cached;
    const id = this.#btf.findByName(name, "enum");
    const type = id === null ? null : this.#btf.typeById(id);
    const values =
      type?.kind === "enum"
        ? new Set(type.values.filter(({ name: entry }) => !/MAX/.test(entry)).map(({ value }) => Number(value)))
        : null;
    this.#enums.set(name, values);
    return values;
  }

  #isOlder(since: string): boolean {
    const first = findKernelVersion(since);
    return this.#version !== null && first !== null && this.#version < first;
  }
}

/** Forms that came after the first. Source: the commits that taught the kernel's interpreter each of them. */
function formOf({ opcode, src, off, imm }: Insn): Lacking | null {
  const kind = opcode & 7;
  const operation = opcode & 0xf0;
  switch (kind) {
    case CLASS.JMP32:
      return operation === JMP.JA
        ? { name: "gotol", since: "6.6" }
        : { name: "a 32-bit conditional jump", since: "5.1" };
    case CLASS.JMP:
      if (operation === JMP.JCOND) return { name: "may_goto", since: "6.9" };
      if (operation !== JMP.CALL) return null;
      if (src === PSEUDO_CALL.KFUNC) return { name: "a call of a kernel function", since: "5.13" };
      return src === PSEUDO_CALL.SUBPROG ? { name: "a call of a subprogram", since: "4.16" } : null;
    case CLASS.ALU:
    case CLASS.ALU64:
      if (operation === ALU.MOV && off === 1 && kind === CLASS.ALU64)
        return { name: "an address space cast", since: "6.9" };
      if (operation === ALU.MOV && off !== 0) return { name: "a sign-extending move", since: "6.6" };
      if ((operation === ALU.DIV || operation === ALU.MOD) && off === 1)
        return { name: "a signed division", since: "6.6" };
      return operation === ALU.END && kind === CLASS.ALU64
        ? { name: "an unconditional byte swap", since: "6.6" }
        : null;
    case CLASS.LDX:
      return (opcode & 0xe0) === MODE.MEMSX ? { name: "a sign-extending load", since: "6.6" } : null;
    case CLASS.STX:
      if ((opcode & 0xe0) !== MODE.ATOMIC || imm === ATOMIC.ADD) return null;
      return imm === ATOMIC.LOAD_ACQ || imm === ATOMIC.STORE_REL
        ? { name: "a load-acquire or store-release", since: "6.15" }
        : { name: "an atomic operation other than addition", since: "5.12" };
    default:
      return null;
  }
}
