/** Structured operations (structure.ts) → binaryen's tree, with an explicit stack. */
import { BugError } from "../../base/errors.ts";
import type { Expr, Module, ValueType } from "./emit.ts";
import type { Label, Op } from "./structure.ts";

/** The code of the graph's blocks. */
export interface BlockCode {
  readonly none: ValueType;
  statements(block: number): readonly Expr[];
  /** not zero: the branch is taken */
  condition(block: number): Expr;
  /** returns from the function */
  exit(): Expr;
  /** a dispatch variable */
  select(variable: number): Expr;
}

/** More children than this in one block become blocks of blocks: binaryen.js passes children on a small stack. */
const CHILDREN = 1000;
/** Labels of one br_table; V8 refuses more than 65520. */
const TABLE_LABELS = 60_000;

/** Nesting from which on it matters that typing a block is quadratic. */
const DEEP = 100;

interface OpenConstruct {
  readonly op: Op;
  readonly children: Expr[];
  readonly condition: Expr;
}

export function wrap(m: Module, ops: readonly Op[], code: BlockCode): Expr[] {
  // binaryen types a block that holds unreachable code by searching all of it for jumps out, which is quadratic in blocks
  // nested in blocks. In a deep function what ends a run is therefore made conditional, on a constant.
  const ending = nesting(ops) > DEEP ? (end: Expr): Expr => m.if(m.i32.const(1), end) : (end: Expr): Expr => end;
  let children: Expr[] = [];
  const open: OpenConstruct[] = [];
  const negated = (condition: Expr, negate: boolean): Expr => (negate ? m.i32.eqz(condition) : condition);
  for (const op of ops) {
    switch (op.op) {
      case "block":
      case "loop":
      case "if":
        open.push({ op, children, condition: op.op === "if" ? negated(code.condition(op.block), op.negate) : 0 });
        children = [];
        break;
      case "end": {
        const construct = open.pop()!;
        const made = close(m, construct, children, code.none);
        children = construct.children;
        children.push(made);
        break;
      }
      case "code":
        for (const statement of code.statements(op.block)) children.push(statement);
        break;
      case "exit":
        children.push(ending(code.exit()));
        break;
      case "br":
        children.push(ending(m.br(labelName(op.label))));
        break;
      case "brIf":
        children.push(m.br(labelName(op.label), negated(code.condition(op.block), op.negate)));
        break;
      case "brTable":
        for (const part of dispatch(m, op.labels, () => code.select(op.variable))) children.push(ending(part));
        break;
      case "unreachable":
        children.push(ending(m.unreachable()));
        break;
    }
  }
  return children;
}

/** Constructs open at once, at most. */
function nesting(ops: readonly Op[]): number {
  let open = 0;
  let deepest = 0;
  for (const op of ops) {
    if (op.op === "block" || op.op === "loop" || op.op === "if") deepest = Math.max(deepest, ++open);
    else if (op.op === "end") open--;
  }
  return deepest;
}

function close(m: Module, construct: OpenConstruct, children: readonly Expr[], none: ValueType): Expr {
  const { op } = construct;
  if (op.op === "block") return m.block(labelName(op.label), grouped(m, children), none);
  if (op.op === "loop") return m.loop(labelName(op.label), sequence(m, children));
  if (op.op === "if") return m.if(construct.condition, sequence(m, children));
  throw new BugError(`${op.op} cannot be closed`);
}

/** A block of any number of children. */
export const sequence = (m: Module, children: readonly Expr[]): Expr => m.block(null, grouped(m, children));

function grouped(m: Module, children: readonly Expr[]): readonly Expr[] {
  let list = children;
  while (list.length > CHILDREN) {
    const groups: Expr[] = [];
    for (let index = 0; index < list.length; index += CHILDREN)
      groups.push(m.block(null, list.slice(index, index + CHILDREN)));
    list = groups;
  }
  return list;
}

const labelName = (label: Label): string => `${label.isLoop ? "loop" : "block"}${label.block}`;

function dispatch(m: Module, labels: readonly Label[], select: () => Expr): Expr[] {
  const names = labels.map(labelName);
  const code: Expr[] = [];
  for (let first = 0; first < names.length; first += TABLE_LABELS) {
    const part = names.slice(first, first + TABLE_LABELS);
    const index = first === 0 ? select() : m.i32.sub(select(), m.i32.const(first));
    const table = m.switch(part, part[part.length - 1]!, index);
    const isLast = first + TABLE_LABELS >= names.length;
    code.push(isLast ? table : m.if(m.i32.lt_u(select(), m.i32.const(first + TABLE_LABELS)), table));
  }
  return code;
}
