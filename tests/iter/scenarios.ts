/**
 * What is asked of the kernel and of bpfjit alike: commands in the words of kernel.c. Maps of hashes have one element, since
 * the order of several is each kernel's own.
 */
export interface IteratorScenario {
  readonly name: string;
  readonly commands: readonly string[];
}

const MAP = { hash: 1, array: 2, perCpuHash: 5, perCpuArray: 6, lruHash: 9, lruPerCpuHash: 10 } as const;
const hex = (value: number, bytes: number): string => {
  const all = new Uint8Array(bytes);
  new DataView(all.buffer).setUint32(0, value, true);
  return Buffer.from(all).toString("hex");
};
const set = (key: number, value: number): string => `set ${hex(key, 4)} ${hex(value, 8)}`;
const setBoth = (key: number, one: number, other: number): string =>
  `set ${hex(key, 4)} ${hex(one, 8)}${hex(other, 8)}`;
const GLOBAL = { runs: 0, refused: 8, again: 16, againFrom: 24 } as const;
const reads = (count: number, bytes: number): string[] => Array.from({ length: count }, () => `read ${bytes}`);

export const SCENARIOS: readonly IteratorScenario[] = [
  {
    name: "elements of an array",
    commands: [`map ${MAP.array} 4 8 3`, set(1, 5), "attach dump_elements", ...reads(3, 4096), "globals"],
  },
  {
    name: "elements of a hash",
    commands: [`map ${MAP.hash} 4 8 16`, set(9, 1), "attach dump_elements", ...reads(2, 4096)],
  },
  {
    name: "a hash that is empty",
    commands: [`map ${MAP.hash} 4 8 16`, "attach dump_elements", ...reads(2, 4096), "globals"],
  },
  {
    name: "elements of an LRU hash",
    commands: [`map ${MAP.lruHash} 4 8 16`, set(9, 1), "attach dump_elements", ...reads(2, 4096)],
  },
  {
    name: "few bytes at a time",
    commands: [`map ${MAP.array} 4 8 3`, "attach dump_elements", ...reads(20, 7), "globals"],
  },
  {
    name: "values of all CPUs of an array",
    commands: [`map ${MAP.perCpuArray} 4 8 2`, setBoth(1, 5, 6), "attach dump_pairs", ...reads(2, 4096)],
  },
  {
    name: "values of all CPUs of a hash",
    commands: [`map ${MAP.perCpuHash} 4 8 2`, setBoth(3, 7, 8), "attach dump_pairs", ...reads(2, 4096)],
  },
  {
    name: "values of all CPUs are copies",
    commands: [
      `map ${MAP.perCpuArray} 4 8 1`,
      setBoth(0, 7, 8),
      "attach double_values",
      ...reads(2, 4096),
      `get ${hex(0, 4)}`,
    ],
  },
  {
    name: "more of a value than there is",
    commands: [
      `map ${MAP.array} 4 8 3`,
      "attach dump_pairs",
      `map ${MAP.array} 4 16 3`,
      "attach dump_pairs",
      ...reads(1, 4096),
      `map ${MAP.perCpuArray} 4 4 3`,
      "attach dump_elements",
    ],
  },
  {
    name: "more of a key than there is",
    commands: [
      `map ${MAP.hash} 4 8 3`,
      "attach dump_long_keys",
      `map ${MAP.hash} 8 8 3`,
      `set ${hex(3, 8)} ${hex(4, 8)}`,
      "attach dump_long_keys",
      ...reads(2, 4096),
    ],
  },
  {
    name: "maps of other types, and none",
    commands: [
      "attach dump_elements",
      "map 3 4 4 3",
      "attach dump_elements",
      "map 27 0 0 4096",
      "attach dump_elements",
    ],
  },
  {
    name: "values in place",
    commands: [
      `map ${MAP.array} 4 8 2`,
      set(0, 5),
      set(1, 6),
      "attach double_values",
      ...reads(2, 4096),
      `get ${hex(0, 4)}`,
      `get ${hex(1, 4)}`,
    ],
  },
  {
    name: "output that does not fit comes with the next read",
    commands: [
      `map ${MAP.array} 4 8 5`,
      ...[0, 1, 2, 3, 4].map((key) => set(key, 12)),
      "attach dump_blocks",
      ...reads(5, 65536),
      "globals",
    ],
  },
  {
    name: "output of one element that fits nowhere",
    commands: [
      `map ${MAP.array} 4 8 3`,
      set(0, 1),
      set(1, 40),
      set(2, 1),
      "attach dump_blocks",
      ...reads(4, 65536),
      "globals",
    ],
  },
  {
    name: "output that fills the buffer to its last byte but one",
    commands: [`map ${MAP.array} 4 8 2`, set(0, 31), set(1, 0), "attach dump_blocks", ...reads(4, 65536), "globals"],
  },
  {
    name: "pieces of a large output",
    commands: [`map ${MAP.array} 4 8 4`, set(0, 5), set(1, 5), set(2, 5), "attach dump_blocks", ...reads(9, 3000)],
  },
  {
    name: "an answer of 1 asks for the element again",
    commands: [
      `map ${MAP.array} 4 8 4`,
      `global ${GLOBAL.again} 2`,
      `global ${GLOBAL.againFrom} 2`,
      "attach dump_again",
      ...reads(5, 4096),
      "globals",
    ],
  },
  {
    name: "an answer of 1 to the first element",
    commands: [
      `map ${MAP.array} 4 8 2`,
      `global ${GLOBAL.again} 1`,
      `global ${GLOBAL.againFrom} 0`,
      "attach dump_again",
      ...reads(4, 4096),
      "globals",
    ],
  },
  {
    name: "formats that are refused",
    commands: [`map ${MAP.array} 4 8 1`, "attach dump_errors", ...reads(2, 4096)],
  },
];
