/** Programs of known cost, compiled to be profiled: C lines are marked by comments, `; line 10: for (…)`, and hold until the next. */
import { assembleProgram } from "../../compiler/asm/index.ts";
import { type LoweringOptions, lowerObject } from "../../compiler/lowering/index.ts";
import type { Program, SourceLine } from "../../compiler/program.ts";
import { verify } from "../../compiler/verifier/index.ts";
import type { CompiledObject } from "../../spec/index.ts";

/** Programs of one object; they share the maps, which every text must declare alike. */
export async function compileProfiled(
  texts: readonly string[],
  options: LoweringOptions = { optimize: 2, profile: true },
): Promise<CompiledObject> {
  const programs = texts.map((text) => {
    const { program } = assembleProgram(text, { lineInfo: true });
    const result = verify({ ...program, lines: linesOf(text, program) }, { logLevel: 1 });
    if (result.verdict !== "accepted") throw new Error(`${result.error.message}\n${result.log}`);
    return result.program;
  });
  const { maps, license } = programs[0]!;
  return lowerObject({ name: "test", license, maps, types: {}, programs }, options);
}

function linesOf(text: string, { lines }: Program): SourceLine[] {
  const marks = text.split("\n").map((line) => /^\s*; line (\d+): (.*)/.exec(line));
  return lines.flatMap((line) => {
    const mark = marks.slice(0, line.line).findLast((found) => found !== null);
    return mark ? [{ ...line, file: "test.c", line: Number(mark[1]), text: mark[2]! }] : [];
  });
}

const PROG = (name: string, maps = ""): string => `
; prog: tracepoint name=${name} target=test/event section=tp/test/event
; map: jumps prog_array key=4 value=4 max=3
; map: keys hash key=4 value=8 max=256${maps}`;

/** The same work at two lines, so often at each. */
export const twoLines = (name: string, first: number, second: number): string => `${PROG(name)}
  ; line 5: u64 hash = 1;
  r6 = 1
  r7 = 0
once:
  ; line 10: for (…) hash = mix(hash);
  r6 *= 0x10001
  r8 = r6
  r8 >>= 7
  r6 ^= r8
  r7 += 1
  if r7 < ${first} goto once
  ; line 15: i = 0;
  r7 = 0
again:
  ; line 20: for (…) hash = mix(hash);
  r6 *= 0x10001
  r8 = r6
  r8 >>= 7
  r6 ^= r8
  r7 += 1
  if r7 < ${second} goto again
  ; line 25: return hash;
  r0 = r6
  exit
`;

/**
 * The same work at two lines without a jump between them, over and over: 9 parts and 1. Each takes longer than the cache line
 * with the place takes to another CPU and back, some 10 ns.
 */
export const straight = (name: string): string => `${PROG(name)}
  ; line 5: u64 hash = 3;
  r6 = 3
  r7 = 0
next:
  ; line 10: hash = mix90(hash);
${mixes(180)}
  ; line 20: hash = mix10(hash);
${mixes(20)}
  ; line 30: for (…)
  r7 += 1
  if r7 < 50 goto next
  r0 = r6
  exit
`;

const mixes = (times: number): string => "  r6 *= 0x10001\n  r6 ^= 0x5555\n".repeat(times).trimEnd();

/** Looks a key up so often at one line, and puts it in so often at another. */
export const helpers = (name: string, lookups: number, updates: number): string => `${PROG(name)}
  ; line 5: u32 key = 1;
  *(u32 *)(r10 - 4) = 1
  *(u64 *)(r10 - 16) = 1
  r7 = 0
find:
  if r7 >= ${lookups} goto found
  ; line 10: lookup(&keys, &key);
  r1 = map[keys] ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  r7 += 1
  goto find
found:
  r7 = 0
put:
  if r7 >= ${updates} goto done
  ; line 20: update(&keys, &key, &value, 0);
  r1 = map[keys] ll
  r2 = r10
  r2 += -4
  r3 = r10
  r3 += -16
  r4 = 0
  call bpf_map_update_elem
  r7 += 1
  goto put
done:
  ; line 30: return 0;
  r0 = 0
  exit
`;

/** Calls a subprogram that calls another and a callback, which work; nothing else takes time. */
export const calls = (name: string): string => `${PROG(name)}
  ; line 5: outer();
  call outer
  r6 = r0
  ; line 6: bpf_loop(10, body, 0, 0);
  r1 = 10
  r2 = func body ll
  r3 = 0
  r4 = 0
  call bpf_loop
  ; line 7: return hash;
  r0 = r6
  exit
outer:
  ; line 10: return inner();
  call inner
  exit
inner:
  ; line 20: while (n--) work();
  r0 = 1
  r7 = 0
more:
  r0 *= 0x10001
  r0 ^= 0x5555
  r7 += 1
  if r7 < 300 goto more
  exit
body:
  ; line 30: while (n--) work();
  r0 = 1
  r7 = 0
again:
  r0 *= 0x10001
  r0 ^= 0x5555
  r7 += 1
  if r7 < 30 goto again
  ; line 31: return hash == 1;
  if r0 == 1 goto out
  r0 = 0
out:
  exit
`;

/** Jumps into slot 0 where it is filled. */
export const jump = (name: string): string => `${PROG(name)}
  ; line 5: tail_call(ctx, &jumps, 0);
  r2 = map[jumps] ll
  r3 = 0
  call bpf_tail_call
  ; line 6: return 5;
  r0 = 5
  exit
`;
