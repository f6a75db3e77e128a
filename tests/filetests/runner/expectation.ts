/** Directives of a file test: one comment → what must hold. The list of directives is in ../README.md. */
import { fromHex, toHex, toU64 } from "../../../base/index.ts";
import { ERRNO, type ErrnoName } from "../../../spec/errno.ts";

export type Expectation =
  /** registers and stack slots that one visit of the instruction leaves behind, in the notation of the verifier's log */
  | { readonly kind: "state"; readonly items: readonly string[] }
  | { readonly kind: "accept" }
  | { readonly kind: "reject"; readonly errno: ErrnoName | null; readonly text: string }
  | { readonly kind: "unsupported"; readonly feature: string }
  | { readonly kind: "run"; readonly input: RunInput; readonly output: RunOutput }
  /** a fragment of the Wasm text, after the one before it */
  | { readonly kind: "wat"; readonly fragment: string };

/** Bytes go in as hexadecimal; null: not given. */
export interface RunInput {
  readonly memory: Uint8Array | null;
  readonly context: Uint8Array | null;
  /** packet */
  readonly data: Uint8Array | null;
  /** run without verification, every access checked */
  readonly unchecked: boolean;
}

/** What is compared; null: not asked. Either an error's code or values. */
export interface RunOutput {
  readonly r0: bigint | null;
  readonly memory: Uint8Array | null;
  readonly data: Uint8Array | null;
  readonly error: string | null;
}

export class DirectiveError extends Error {}

const NAMES = ["state", "accept", "reject", "unsupported", "run", "wat"] as const;
const START = new RegExp(`^(${NAMES.join("|")})\\b`);

/** The parts of a comment that are directives: `state: R0=1 ; state: R0=2` has two. */
export function directiveParts(comment: string): string[] {
  return comment
    .split(new RegExp(`;\\s*(?=(?:${NAMES.join("|")})\\b)`))
    .map((part) => part.trim())
    .filter((part) => START.test(part));
}

/** Throws DirectiveError. */
export function parseExpectation(part: string): Expectation {
  const match = /^(\w+)(?:\s+([A-Z0-9]+))?\s*(?::\s*(.*))?$/.exec(part);
  if (match === null) throw new DirectiveError(`cannot read directive ${JSON.stringify(part)}`);
  const [, name, argument, rest = ""] = match;
  if (argument !== undefined && name !== "reject") throw new DirectiveError(`${name} takes no ${argument}`);
  switch (name) {
    case "state":
      return { kind: "state", items: stateItems(rest) };
    case "accept":
      return { kind: "accept" };
    case "reject":
      if (argument !== undefined && !(argument in ERRNO)) throw new DirectiveError(`no errno ${argument}`);
      return { kind: "reject", errno: (argument as ErrnoName | undefined) ?? null, text: rest.trim() };
    case "unsupported":
      return { kind: "unsupported", feature: rest.trim() };
    case "wat":
      return { kind: "wat", fragment: rest.trim() };
    case "run":
      return parseRun(rest);
    default:
      throw new DirectiveError(`no directive ${name}`);
  }
}

/** Liveness marks (`R1_w=`) differ between kernels and say nothing about values: they are dropped. */
export function stateItems(text: string): string[] {
  // `var_off=(0x0; 0xff)` is one item.
  const joined = text.replace(/;\s+(?=0x)/g, ";").split(/\s+/);
  const items = joined.filter((item) => item !== "").map((item) => item.replace(/;(?=0x)/g, "; "));
  return items.map((item) => item.replace(/^(R\d+|fp-\d+)_[a-zA-Z]+(?==|$)/, "$1"));
}

export const stateName = (item: string): string => item.replace(/=.*$/, "");

function parseRun(text: string): Expectation {
  const arrow = text.indexOf("=>");
  if (arrow < 0) throw new DirectiveError("run: needs `=>` between what goes in and what comes out");
  const input = fieldsOf(text.slice(0, arrow));
  const output = fieldsOf(text.slice(arrow + 2));
  const expectation: Expectation = {
    kind: "run",
    input: {
      memory: input.bytes("mem"),
      context: input.bytes("ctx"),
      data: input.bytes("data"),
      unchecked: input.flag("unchecked"),
    },
    output: {
      r0: input64(output.text("r0")),
      memory: output.bytes("mem"),
      data: output.bytes("data"),
      error: output.text("error"),
    },
  };
  input.end();
  output.end();
  return expectation;
}

function input64(text: string | null): bigint | null {
  if (text === null || text === "?") return null;
  const match = /^(-?)(0x[0-9a-f]+|\d+)$/i.exec(text);
  if (match === null) throw new DirectiveError(`${text} is no number`);
  return toU64(match[1] === "-" ? -BigInt(match[2]!) : BigInt(match[2]!));
}

function fieldsOf(text: string) {
  const words = text.split(/\s+/).filter((word) => word !== "");
  const take = (key: string): string | null => {
    const at = words.findIndex((word) => word.startsWith(`${key}=`));
    return at < 0 ? null : words.splice(at, 1)[0]!.slice(key.length + 1);
  };
  return {
    text: take,
    flag: (name: string): boolean => {
      const at = words.indexOf(name);
      if (at >= 0) words.splice(at, 1);
      return at >= 0;
    },
    /** Hexadecimal; `12*8` repeats a byte, `00*4,ff` joins pieces. */
    bytes: (key: string): Uint8Array | null => {
      const value = take(key);
      return value === null || value === "?" ? null : expandBytes(value);
    },
    end: () => {
      if (words.length > 0) throw new DirectiveError(`unknown field ${words[0]}`);
    },
  };
}

function expandBytes(text: string): Uint8Array {
  const pieces = text.split(",").map((piece) => {
    const [digits, times = "1"] = piece.split("*");
    if (!/^\d{1,5}$/.test(times)) throw new DirectiveError(`${piece} is no repetition`);
    return digits!.repeat(Number(times));
  });
  const bytes = fromHex(pieces.join(""));
  if (bytes === null) throw new DirectiveError(`${text} is not hexadecimal`);
  return bytes;
}

export function printRun(input: RunInput, output: RunOutput): string {
  const words: string[] = [];
  if (input.unchecked) words.push("unchecked");
  if (input.memory !== null) words.push(`mem=${compressBytes(input.memory)}`);
  if (input.context !== null) words.push(`ctx=${compressBytes(input.context)}`);
  if (input.data !== null) words.push(`data=${compressBytes(input.data)}`);
  words.push("=>");
  if (output.error !== null) words.push(`error=${output.error}`);
  if (output.r0 !== null) words.push(`r0=${output.r0 < 10n ? output.r0 : `0x${output.r0.toString(16)}`}`);
  if (output.memory !== null) words.push(`mem=${compressBytes(output.memory)}`);
  if (output.data !== null) words.push(`data=${compressBytes(output.data)}`);
  return `run: ${words.join(" ")}`;
}

/** Runs of eight equal bytes and more are written as `00*8`. */
function compressBytes(bytes: Uint8Array): string {
  const pieces: string[] = [];
  let plain = "";
  for (let at = 0; at < bytes.length; ) {
    let end = at + 1;
    while (end < bytes.length && bytes[end] === bytes[at]) end++;
    if (end - at >= 8) {
      if (plain !== "") pieces.push(plain);
      plain = "";
      pieces.push(`${toHex(bytes.subarray(at, at + 1))}*${end - at}`);
    } else plain += toHex(bytes.subarray(at, end));
    at = end;
  }
  if (plain !== "") pieces.push(plain);
  return pieces.join(",");
}
