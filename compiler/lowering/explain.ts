/** What lowering made of one program, for people: its control-flow graph and its WebAssembly. */
import { libraryBytes } from "../../wasm/index.ts";
import { printInsn } from "../asm/index.ts";
import { isWideImmediate } from "../asm/instruction.ts";
import { type BlockEnd, buildCfg, type Cfg } from "./cfg.ts";
import { functionText, type OptimizeLevel, openModule, optimizeModule } from "./emit.ts";
import { buildLoops } from "./loops.ts";
import { checkProgram, factsOf, functionRanges, type LowerableProgram, lowerProgram } from "./lower.ts";
import { makeReducible } from "./reducible.ts";
import { mainName, subprogramName, Unit } from "./unit.ts";

export interface Explanation {
  /** blocks with their instructions, edges and loops */
  readonly cfg: string;
  /** the same for graphviz */
  readonly dot: string;
  /** the program's functions only; without optimisation, library calls stand as calls */
  readonly wat: string;
}

export async function explainLowering(
  program: LowerableProgram,
  options: { readonly optimize?: OptimizeLevel } = {},
): Promise<Explanation> {
  checkProgram(program);
  const facts = factsOf(program);
  const graphs = functionRanges(program).map((range, index) => ({
    name: index === 0 ? mainName(program.name) : subprogramName(program.name, range.first),
    cfg: makeReducible(buildCfg(program, range, facts)).cfg,
  }));
  const optimize = options.optimize ?? 0;
  const wasm = await openModule(optimize === 0 ? null : libraryBytes());
  const functions = lowerProgram(new Unit(wasm), program, { inlineIntoBatch: false });
  await optimizeModule(wasm, optimize, functions);
  const texts: string[] = [];
  for (const { name } of graphs) texts.push(await functionText(wasm, name));
  wasm.m.dispose();
  return {
    cfg: graphs.map(({ name, cfg }) => cfgText(program, name, cfg)).join("\n"),
    dot: dotText(program, graphs),
    wat: texts.filter((text) => text !== "").join("\n"),
  };
}

function cfgText(program: LowerableProgram, name: string, cfg: Cfg): string {
  const loops = buildLoops(cfg);
  const lines = [`${name}: ${cfg.blocks.length} blocks`];
  cfg.blocks.forEach((block, index) => {
    const notes: string[] = [];
    if (loops.isHeader[index] === 1) notes.push("loop header");
    if (loops.container[index]! >= 0) notes.push(`in loop ${loops.container[index]}`);
    const range = block.end > block.first ? `insns ${block.first}..${block.end - 1}` : "no insns";
    lines.push(`  block ${index} (${[range, ...notes].join(", ")}) -> ${endText(block.exit)}`);
    for (const text of blockInsns(program, cfg, index)) lines.push(`    ${text}`);
  });
  return `${lines.join("\n")}\n`;
}

function endText(exit: BlockEnd): string {
  switch (exit.kind) {
    case "exit":
      return "exit";
    case "trap":
      return "never";
    case "jump":
      return `${exit.to}`;
    case "branch":
      return `${exit.taken} if taken, ${exit.fallthrough} else`;
    case "dispatch":
      return `one of ${exit.targets.join(", ")}`;
  }
}

/** The block's instructions, its conditional jump included. */
function blockInsns(program: LowerableProgram, cfg: Cfg, index: number): string[] {
  const block = cfg.blocks[index]!;
  const texts: string[] = [];
  for (let insn = block.first; insn < block.end; insn++) {
    texts.push(`${insn}: ${printInsn(program.insns, insn)}`);
    if (isWideImmediate(program.insns[insn]!)) insn++;
  }
  if (block.select !== null) texts.push(`select ${block.select.value} (v${block.select.variable})`);
  if (block.exit.kind === "branch") {
    const at = block.exit.insnIndex;
    texts.push(`${at}: ${printInsn(program.insns, at)}`);
  }
  return texts;
}

function dotText(program: LowerableProgram, graphs: readonly { readonly name: string; readonly cfg: Cfg }[]): string {
  const lines = ["digraph cfg {", "  node [shape=box, fontname=monospace];"];
  graphs.forEach(({ name, cfg }, graph) => {
    lines.push(`  subgraph cluster_${graph} {`, `    label=${quote(name)};`);
    cfg.blocks.forEach((block, index) => {
      const text = [`block ${index}`, ...blockInsns(program, cfg, index)]
        .map((line) => `${escapeText(line)}\\l`)
        .join("");
      lines.push(`    g${graph}b${index} [label="${text}"];`);
      cfg.successors[index]!.forEach((target) => {
        const label = block.exit.kind !== "branch" ? "" : target === block.exit.taken ? ' [label="taken"]' : "";
        lines.push(`    g${graph}b${index} -> g${graph}b${target}${label};`);
      });
    });
    lines.push("  }");
  });
  lines.push("}");
  return `${lines.join("\n")}\n`;
}

const escapeText = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
const quote = (text: string): string => `"${escapeText(text)}"`;
