/** `batch:NAME`: runs one program over an array of EVENT records without leaving Wasm. */
import { CPU, EVENT, EXPORT, HOOK, WORKER } from "../../spec/index.ts";
import type { Expr } from "./emit.ts";
import type { Unit } from "./unit.ts";

export interface BatchInput {
  readonly program: string;
  /** the program's main function or a copy of it */
  readonly callee: string;
  /** false: no run asks for readers, changes the hook's links or makes a tail call */
  readonly reachesOut: boolean;
}

/** Adds the function that EXPORT describes. Cookies and counters are not touched: that is run_events of the library. */
export function addBatch(unit: Unit, { program, callee, reachesOut }: BatchInput): void {
  const { wasm } = unit;
  const { m, i32 } = wasm;
  const [EVENTS, COUNT, AT, END, CPU_BLOCK, ITS_HOOK, LINKS] = [0, 1, 2, 3, 4, 5, 6] as const;
  const get = (local: number): Expr => m.local.get(local, i32);
  const load = (local: number, word: number): Expr => m.i32.load(word, 4, get(local));
  const stopIf = (condition: Expr): Expr => m.br("done", condition);
  const run = [
    m.i32.store(CPU.event, 4, get(CPU_BLOCK), get(AT)),
    ...(reachesOut ? [m.i32.store(CPU.tailCalls, 4, get(CPU_BLOCK), m.i32.const(0))] : []),
    m.drop(m.call(callee, [load(AT, EVENT.ctx)], wasm.i64)),
    m.local.set(AT, m.i32.add(get(AT), m.i32.const(EVENT.bytes))),
  ];
  const stops = [
    stopIf(m.i32.eq(get(AT), get(END))),
    stopIf(m.i32.ne(load(AT, EVENT.cpu), get(CPU_BLOCK))),
    stopIf(m.i32.ne(load(AT, EVENT.hook), get(ITS_HOOK))),
  ];
  if (reachesOut) {
    stops.push(stopIf(m.i32.load(WORKER.yield, 4, unit.worker())));
    stops.push(stopIf(m.i32.ne(load(ITS_HOOK, HOOK.links), get(LINKS))));
  }
  const eventBytes = m.i32.const(EVENT.bytes);
  const body = m.block(null, [
    m.local.set(AT, get(EVENTS)),
    m.local.set(END, m.i32.add(get(EVENTS), m.i32.mul(get(COUNT), m.i32.const(EVENT.bytes)))),
    m.local.set(CPU_BLOCK, load(EVENTS, EVENT.cpu)),
    m.local.set(ITS_HOOK, load(EVENTS, EVENT.hook)),
    m.local.set(LINKS, load(ITS_HOOK, HOOK.links)),
    m.block("done", [stopIf(m.i32.eqz(get(COUNT))), m.loop("next", m.block(null, [...run, ...stops, m.br("next")]))]),
    m.return(m.i32.div_u(m.i32.sub(get(AT), get(EVENTS)), eventBytes)),
  ]);
  const name = EXPORT.batch + program;
  m.addFunction(name, wasm.params([i32, i32]), i32, [i32, i32, i32, i32, i32], body);
  m.addFunctionExport(name, name);
}
