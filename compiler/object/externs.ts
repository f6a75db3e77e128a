/**
 * Externs: what an object wants from its target. `__kconfig` variables live in a map of their own, `__ksym` variables and
 * functions become addresses or BTF ids of the target. A missing strong extern fails the programs that use it; libbpf loads
 * none of the object then, which problem() tells.
 * Source: libbpf, bpf_object__collect_externs() and bpf_object__resolve_externs().
 */
import { BpfError, ObjectError } from "../../base/index.ts";
import { kfuncByName } from "../../spec/kfuncs.ts";
import type { Btf } from "./btf/btf.ts";
import { essentialName } from "./btf/names.ts";
import { areTypesCompatible } from "./core/compatible.ts";
import { Steps } from "./core/steps.ts";
import type { DataSection } from "./datasec.ts";
import { type ElfSymbol, SYMBOL_BIND } from "./elf.ts";
import { type ConfigVariable, configVariable, setConfig } from "./kconfig.ts";
import type { Layout } from "./layout.ts";
import { isExtern } from "./relocations.ts";
import type { ModuleBtf, Target } from "./target.ts";

/** Calls of weak functions that the target lacks get this number plus the extern's index, as libbpf does. */
export const MISSING_KFUNC = 2_002_000_000;

export interface Extern {
  readonly name: string;
  readonly symbol: number;
  readonly isWeak: boolean;
  readonly kind: ExternKind | BpfError;
}

type ExternKind =
  | {
      readonly kind: "config";
      readonly type: number;
      readonly variable: ConfigVariable;
      offsetBytes: number;
      isSet: boolean;
    }
  /** `type`: id behind modifiers, 0 where it has none (`extern const void x __ksym`) */
  | { readonly kind: "variable"; readonly type: number }
  | { readonly kind: "function"; readonly prototype: number };

/** What an extern's address or id came to. */
export type Resolution =
  | { readonly kind: "address"; readonly address: bigint }
  /** `module`: 0 the kernel, else a number into ExternTable.modules, from 1 */
  | { readonly kind: "btf"; readonly id: number; readonly module: number }
  | { readonly kind: "config"; readonly offsetBytes: number }
  /** a function that bpfjit has, whatever the target */
  | { readonly kind: "own"; readonly number: number }
  /** a weak function that the target does not have */
  | { readonly kind: "missing"; readonly number: number };

export class ExternTable {
  readonly all: readonly Extern[];
  /** bytes of the configuration map, null where no program wants any */
  readonly config: Uint8Array | null;
  readonly #target: Target;
  readonly #btf: Btf | null;
  readonly #bySymbol: ReadonlyMap<number, number>;
  readonly #steps = new Steps();
  readonly #modules: ModuleBtf[] = [];
  #numbered = false;

  constructor(externs: readonly Extern[], btf: Btf | null, target: Target) {
    this.all = externs;
    this.#btf = btf;
    this.#target = target;
    this.#bySymbol = new Map(externs.map((extern, index) => [extern.symbol, index]));
    this.config = placeConfig(externs, target);
  }

  /** The configuration as a data section: its variables count as global, since the object's users may read them. */
  configSection(name: string): DataSection {
    const variables = this.all.flatMap(({ name, kind }) =>
      kind instanceof BpfError || kind.kind !== "config"
        ? []
        : [
            {
              name,
              id: null,
              type: kind.type,
              offsetBytes: kind.offsetBytes,
              sizeBytes: kind.variable.size,
              linkage: "global" as const,
            },
          ],
    );
    return { name, size: this.config?.length ?? 0, variables };
  }

  /** Modules that externs were found in. libbpf numbers them (fd_array) in the order of the externs. */
  get modules(): readonly ModuleBtf[] {
    if (!this.#numbered && this.#target.modules.length > 0) {
      this.#numbered = true;
      for (const extern of this.all) this.#numberModule(extern);
    }
    return this.#modules;
  }

  #numberModule({ kind, name }: Extern): void {
    if (kind instanceof BpfError || kind.kind === "config" || (kind.kind === "variable" && kind.type === 0)) return;
    const found = kind.kind === "variable" ? this.#find(name, "var") : this.#find(essentialName(name), "func");
    if (found?.module && !this.#modules.includes(found.module)) this.#modules.push(found.module);
  }

  /** The first of that name and kind in the kernel, else in a module. */
  #find(name: string, kind: "var" | "func"): { btf: Btf; id: number; module: ModuleBtf | null } | null {
    const { btf, modules } = this.#target;
    const id = btf?.findByName(name, kind) ?? null;
    if (btf !== null && id !== null) return { btf, id, module: null };
    for (const module of modules) {
      const own = module.btf.findOwnByName(name, kind);
      if (own !== null) return { btf: module.btf, id: own, module };
    }
    return null;
  }

  #numberOf(module: ModuleBtf | null): number {
    return module === null ? 0 : this.modules.indexOf(module) + 1;
  }

  externOf(symbol: ElfSymbol): number | null {
    return this.#bySymbol.get(symbol.index) ?? null;
  }

  /** What keeps libbpf from loading the object, whichever programs use it; null: nothing. */
  problem(): BpfError | null {
    for (const index of this.all.keys()) {
      try {
        this.resolve(index);
      } catch (error) {
        if (error instanceof BpfError) return error;
        throw error;
      }
    }
    return null;
  }

  /** Throws where the target does not have what a strong extern names. */
  resolve(index: number): Resolution {
    const extern = this.all[index]!;
    const { kind } = extern;
    if (kind instanceof BpfError) throw kind;
    switch (kind.kind) {
      case "config":
        if (!kind.isSet && !extern.isWeak && !this.#target.hasAllConfig)
          throw unresolved(extern, "is not in the target's configuration");
        return { kind: "config", offsetBytes: kind.offsetBytes };
      case "variable":
        return kind.type === 0 ? this.#address(extern) : this.#typedVariable(extern, kind.type);
      case "function":
        return this.#function(extern, index, kind.prototype);
    }
  }

  #address(extern: Extern): Resolution {
    const address = this.#target.symbols.get(extern.name);
    if (address === undefined && !extern.isWeak && !this.#target.hasAllSymbols)
      throw unresolved(extern, "is not among the target's symbols");
    return { kind: "address", address: address ?? 0n };
  }

  #typedVariable(extern: Extern, type: number): Resolution {
    this.#requireBtf(extern);
    const found = this.#find(extern.name, "var");
    if (found === null) {
      if (extern.isWeak) return { kind: "address", address: 0n };
      throw unresolved(extern, "is not a variable in the target's BTF");
    }
    const { btf, id, module } = found;
    const variable = btf.typeById(id);
    if (
      variable.kind !== "var" ||
      !areTypesCompatible(this.#btf!, type, btf, btf.skipModifiers(variable.type), this.#steps)
    )
      throw unresolved(extern, "is of another type in the target's BTF");
    return { kind: "btf", id, module: this.#numberOf(module) };
  }

  #function(extern: Extern, index: number, prototype: number): Resolution {
    const own = kfuncByName(extern.name);
    if (own !== undefined) return { kind: "own", number: own.id };
    this.#requireBtf(extern);
    const found = this.#find(essentialName(extern.name), "func");
    const missing: Resolution = { kind: "missing", number: MISSING_KFUNC + index };
    if (found === null) {
      if (extern.isWeak) return missing;
      throw new ObjectError("KFUNC_MISSING", `kernel function ${extern.name} is not in the target's BTF`, {
        where: { symbol: extern.name },
      });
    }
    const { btf, id, module } = found;
    const fn = btf.typeById(id);
    if (fn.kind !== "func" || !areTypesCompatible(this.#btf!, prototype, btf, fn.type, this.#steps)) {
      if (extern.isWeak) return missing;
      throw new ObjectError(
        "KFUNC_MISSING",
        `kernel function ${extern.name} has another prototype in the target's BTF`,
        { where: { symbol: extern.name } },
      );
    }
    return { kind: "btf", id, module: this.#numberOf(module) };
  }

  #requireBtf(extern: Extern): void {
    if (this.#target.btf === null && !extern.isWeak)
      throw new ObjectError("BTF_MISSING", `extern ${extern.name} needs the target's BTF`);
  }
}

/** Externs in libbpf's order, which the numbers of missing functions show: configuration first, then by name. */
export function readExterns(layout: Layout, btf: Btf | null): Extern[] {
  const symbols = layout.elf.symbols.filter(isExtern);
  if (symbols.length === 0) return [];
  const sections = btf === null ? new Map<number, string>() : sectionsByVariable(btf);
  const externs: Extern[] = [];
  for (const symbol of symbols) {
    const name = layout.elf.symbolName(symbol);
    if (name === "") continue;
    externs.push({
      name,
      symbol: symbol.index,
      isWeak: symbol.bind === SYMBOL_BIND.WEAK,
      kind: btf === null ? new ObjectError("BTF_MISSING", `extern ${name} has no BTF`) : kindOf(btf, sections, name),
    });
  }
  return externs.sort(compareExterns);
}

function sectionsByVariable(btf: Btf): Map<number, string> {
  const sections = new Map<number, string>();
  for (const id of btf.idsOf("datasec")) {
    const section = btf.typeById(id);
    if (section.kind !== "datasec") continue;
    for (const variable of section.variables)
      if (!sections.has(variable.type)) sections.set(variable.type, section.name);
  }
  return sections;
}

function kindOf(btf: Btf, sections: ReadonlyMap<number, string>, name: string): ExternKind | BpfError {
  const fail = (message: string) => new ObjectError("EXTERN_UNRESOLVED", `extern ${name} ${message}`);
  try {
    const id = btf.findByName(name, "var") ?? btf.findByName(name, "func");
    const type = id === null ? null : btf.typeById(id);
    if (id === null || type === null || (type.kind !== "var" && type.kind !== "func")) return fail("is not in the BTF");
    if (type.linkage !== "extern") return fail(`has ${type.linkage} linkage`);
    const section = sections.get(id);
    if (section === ".ksyms")
      return type.kind === "func"
        ? { kind: "function", prototype: btf.skipModifiers(type.type) }
        : { kind: "variable", type: btf.skipModifiers(type.type) };
    if (section !== ".kconfig") return fail(`is in section ${section ?? "none"}, neither .kconfig nor .ksyms`);
    if (type.kind === "func") return fail("is a function in .kconfig");
    const variable = configVariable(btf, type.type);
    if (variable === null) return fail("is of a type that configuration values do not have");
    return { kind: "config", type: type.type, variable, offsetBytes: 0, isSet: false };
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
}

/** Configuration by falling alignment, then rising size; ties and the rest by name. */
function compareExterns(a: Extern, b: Extern): number {
  const x = a.kind instanceof BpfError || a.kind.kind !== "config" ? null : a.kind.variable;
  const y = b.kind instanceof BpfError || b.kind.kind !== "config" ? null : b.kind.variable;
  if (x !== null && y !== null) {
    if (x.align !== y.align) return y.align - x.align;
    if (x.size !== y.size) return x.size - y.size;
  } else if (x !== null || y !== null) return x !== null ? -1 : 1;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** Lays the configuration variables out and gives them their values. */
function placeConfig(externs: readonly Extern[], target: Target): Uint8Array | null {
  let end = 0;
  for (const { kind } of externs) {
    if (kind instanceof BpfError || kind.kind !== "config") continue;
    kind.offsetBytes = Math.ceil(end / kind.variable.align) * kind.variable.align;
    end = kind.offsetBytes + kind.variable.size;
  }
  if (end === 0) return null;
  const bytes = new Uint8Array(end);
  for (const extern of externs) {
    if (extern.kind instanceof BpfError || extern.kind.kind !== "config") continue;
    const { offsetBytes, variable } = extern.kind;
    extern.kind.isSet = setConfig(
      bytes.subarray(offsetBytes, offsetBytes + variable.size),
      extern.name,
      variable,
      target,
    );
  }
  return bytes;
}

const unresolved = (extern: Extern, message: string): ObjectError =>
  new ObjectError("EXTERN_UNRESOLVED", `extern ${extern.name} ${message}`, { where: { symbol: extern.name } });
