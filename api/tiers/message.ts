/** What a thread that optimises is sent and sends back. BTF is sent as its bytes, each once, and read again there. */
import { type Btf, readBtf } from "../../compiler/front.ts";
import { listedVariables } from "../cache-key.ts";
import type { Compilation } from "../compilation.ts";

type Program = Compilation["programs"][number];

/** BTF by its place in the list; those that it is split on come first. */
interface SentBtf {
  readonly bytes: Uint8Array;
  readonly base: number | null;
}
interface SentProgram extends Omit<Program, "btf" | "targetBtf" | "modules" | "attachBtf" | "targetSymbols"> {
  readonly btfs: { readonly own: number | null; readonly target: number | null; readonly attach: number | null };
  readonly modules: readonly { readonly name: string; readonly btf: number }[] | null;
  readonly attachBtf: Omit<NonNullable<Program["attachBtf"]>, "btf"> | null;
  readonly listed: readonly string[] | null;
}
export interface OptimizeRequest {
  readonly compilation: Omit<Compilation, "programs">;
  readonly btfs: readonly SentBtf[];
  readonly programs: readonly SentProgram[];
}
export type OptimizeReply = { readonly wasm: Uint8Array } | { readonly failure: string };

export function packCompilation({ programs, ...compilation }: Compilation): OptimizeRequest {
  const btfs: SentBtf[] = [];
  const places = new Map<Btf, number>();
  const placeOf = (btf: Btf): number => {
    const known = places.get(btf);
    if (known !== undefined) return known;
    const base = btf.base === null ? null : placeOf(btf.base);
    places.set(btf, btfs.length);
    return btfs.push({ bytes: btf.bytes, base }) - 1;
  };
  const place = (btf: Btf | null | undefined): number | null => (btf ? placeOf(btf) : null);
  const sent = programs.map(({ btf, targetBtf, modules, attachBtf, targetSymbols, ...program }, index): SentProgram => {
    const { btf: attached = null, ...attach } = attachBtf ?? {};
    return {
      ...program,
      lines: [],
      btfs: { own: place(btf), target: place(targetBtf), attach: place(attached) },
      modules: modules?.map((module) => ({ name: module.name, btf: placeOf(module.btf) })) ?? null,
      attachBtf: attachBtf === undefined ? null : (attach as Omit<typeof attachBtf, "btf">),
      listed: targetSymbols === undefined ? null : listedVariables(programs[index]!, targetSymbols),
    };
  });
  return { compilation, btfs, programs: sent };
}

export function unpackCompilation({ compilation, btfs, programs }: OptimizeRequest): Compilation {
  const read: Btf[] = [];
  for (const { bytes, base } of btfs) read.push(readBtf(bytes, base === null ? null : read[base]!));
  const at = (place: number | null): Btf | null => (place === null ? null : read[place]!);
  return {
    ...compilation,
    programs: programs.map(({ btfs: { own, target, attach }, modules, attachBtf, listed, ...program }) => ({
      ...program,
      btf: at(own),
      targetBtf: at(target),
      ...(modules !== null && { modules: modules.map(({ name, btf }) => ({ name, btf: read[btf]! })) }),
      ...(attachBtf !== null && attach !== null && { attachBtf: { ...attachBtf, btf: read[attach]! } }),
      ...(listed !== null && { targetSymbols: new Map(listed.map((name) => [name, 0n])) }),
    })),
  };
}
