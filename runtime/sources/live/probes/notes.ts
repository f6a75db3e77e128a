/**
 * USDT probes of an ELF file: its notes `.note.stapsdt`, each a place with operands, and the semaphore that tells the program
 * whether anybody listens. Source: SystemTap's wiki (UserSpaceProbeImplementation).
 */
import { broken, type ElfImage, fileOffset, noteSection } from "./elf.ts";
import { symbolAddress } from "./symbols.ts";

export interface UsdtProbe {
  readonly provider: string;
  readonly name: string;
  /** operands, as `-4@-20(%rbp) 8@%rax` */
  readonly args: string;
  /** in the file */
  readonly offset: number;
  /** of the semaphore in the file; null: it has none */
  readonly semaphore: number | null;
}

const SECTION = ".note.stapsdt";
/** An empty section whose address tells by how much the file's addresses were moved after the notes were written. */
const BASE_SECTION = ".stapsdt.base";
const OWNER = "stapsdt";
const TYPE = 3;
const HEAD_BYTES = 12;
/** Three addresses, and three empty strings behind them. */
const DESCRIPTION_BYTES_MIN = 27;

/** In the order of the file; none where it has no such notes. */
export function readUsdtProbes(image: ElfImage): UsdtProbe[] {
  const notes = noteSection(image, SECTION);
  if (notes === null) return [];
  const base = image.sections.find(({ name }) => name === BASE_SECTION)?.address ?? 0;
  const probes: UsdtProbe[] = [];
  for (let at = 0; at + HEAD_BYTES <= notes.length; ) {
    const nameBytes = notes.u32(at);
    const descriptionBytes = notes.u32(at + 4);
    const name = at + HEAD_BYTES;
    const description = name + align(nameBytes);
    if (notes.u32(at + 8) === TYPE && nameBytes === OWNER.length + 1 && notes.string(name) === OWNER) {
      const probe = readProbe(image, notes.slice(description, descriptionBytes), base);
      if (probe !== null) probes.push(probe);
    }
    at = description + align(descriptionBytes);
  }
  return probes;
}

/** Null where the probe's code is not in the file. */
function readProbe(image: ElfImage, bytes: Uint8Array, base: number): UsdtProbe | null {
  if (bytes.length < DESCRIPTION_BYTES_MIN) throw broken(image.bytes.name, `a note of ${SECTION} is too short`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [place, noteBase, semaphore] = [0, 8, 16].map((at) => Number(view.getBigUint64(at, true))) as [
    number,
    number,
    number,
  ];
  const texts = Buffer.from(bytes.subarray(24)).toString("latin1").split("\0");
  if (texts.length < 4) throw broken(image.bytes.name, `a note of ${SECTION} has no end`);
  const [provider, name, operands] = texts as [string, string, string];
  const moved = base === 0 ? 0 : base - noteBase;
  const offset = fileOffset(image, place + moved);
  if (offset === null) return null;
  const args = resolveSymbols(image, operands, place + moved);
  return { provider, name, args, offset, semaphore: semaphore === 0 ? null : fileOffset(image, semaphore + moved) };
}

/**
 * Operands in the file's own data, `88+rows(%rip)`, as distances from the place: its address is what programs see in ip. What
 * names no symbol of the file stays as it is, and is no operand.
 */
function resolveSymbols(image: ElfImage, args: string, place: number): string {
  return args.replace(BESIDE_CODE, (whole, sum: string) => {
    if (NUMBER.test(sum)) return whole;
    let distance = -place;
    for (const [, minus, term] of sum.matchAll(TERM)) {
      const value = NUMBER.test(term!) ? Number(term) : symbolAddress(image, term!);
      if (value === null) return whole;
      distance += minus === "-" ? -value : value;
    }
    return `@${distance}(%rip)`;
  });
}
const BESIDE_CODE = /@([^\s@$%()]+)\(%rip\)/g;
const TERM = /([+-]?)([^+-]+)/g;
const NUMBER = /^-?(?:0x[0-9a-fA-F]+|\d+)$/;

const align = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/** The probes of that name, those with the same operands together: each set is one record of operands for a program. */
export function usdtVariants(probes: readonly UsdtProbe[], provider: string, name: string): UsdtProbe[][] {
  const byArguments = new Map<string, UsdtProbe[]>();
  for (const probe of probes) {
    if (probe.provider !== provider || probe.name !== name) continue;
    const known = byArguments.get(probe.args);
    if (known === undefined) byArguments.set(probe.args, [probe]);
    else known.push(probe);
  }
  return [...byArguments.values()];
}
