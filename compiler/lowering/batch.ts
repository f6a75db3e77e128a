/** `batch:NAME`: runs one program over an array of EVENT records without leaving Wasm. */
import { CPU, EVENT, EXPORT, WORKER } from "../../spec/index.ts";
import type { Expr } from "./emit.ts";
import type { Unit } from "./unit.ts";

/**
 * (events, count) → how many ran: fewer than count when WORKER.yield was set. Leaves WORKER.cpu as it was. Links, cookies
 * and counters are not touched: that is run_events of the library. `callee` is the program's main function or a copy of it.
 */
export function addBatch(unit: Unit, program: string, callee: string): void {
  const { wasm } = unit;
  const { m, i32 } = wasm;
  const [EVENTS, COUNT, DONE, OUTER, CPU_BLOCK] = [0, 1, 2, 3, 4] as const;
  const get = (local: number): Expr => m.local.get(local, i32);
  const event = m.block(null, [
    m.local.set(CPU_BLOCK, m.i32.load(EVENT.cpu, 4, get(EVENTS))),
    m.i32.store(WORKER.cpu, 4, unit.worker(), get(CPU_BLOCK)),
    m.i32.store(CPU.event, 4, get(CPU_BLOCK), get(EVENTS)),
    m.i32.store(CPU.tailCalls, 4, get(CPU_BLOCK), m.i32.const(0)),
    m.drop(m.call(callee, [m.i32.load(EVENT.ctx, 4, get(EVENTS))], wasm.i64)),
    m.local.set(EVENTS, m.i32.add(get(EVENTS), m.i32.const(EVENT.bytes))),
    m.local.set(DONE, m.i32.add(get(DONE), m.i32.const(1))),
  ]);
  const body = m.block(null, [
    m.local.set(OUTER, unit.cpu()),
    m.i32.store(WORKER.yield, 4, unit.worker(), m.i32.const(0)),
    m.block("done", [
      m.loop(
        "next",
        m.block(null, [
          m.br("done", m.i32.ge_u(get(DONE), get(COUNT))),
          event,
          m.br("next", m.i32.eqz(m.i32.load(WORKER.yield, 4, unit.worker()))),
        ]),
      ),
    ]),
    m.i32.store(WORKER.cpu, 4, unit.worker(), get(OUTER)),
    m.return(get(DONE)),
  ]);
  const name = EXPORT.batch + program;
  m.addFunction(name, wasm.params([i32, i32]), i32, [i32, i32, i32], body);
  m.addFunctionExport(name, name);
}
