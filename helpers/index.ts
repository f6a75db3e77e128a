/** The helpers in TypeScript, total over the rows of spec/helpers.ts with home "js". */
import type { HelperImplementation, JsHelperName } from "../spec/index.ts";
import { snprintf, tracePrintk, traceVprintk } from "./print.ts";
import { seqPrintf, seqWrite } from "./sequence.ts";

export const HELPER_IMPLEMENTATIONS = {
  bpf_trace_printk: tracePrintk,
  bpf_trace_vprintk: traceVprintk,
  bpf_snprintf: snprintf,
  bpf_seq_printf: seqPrintf,
  bpf_seq_write: seqWrite,
} as const satisfies Record<JsHelperName, HelperImplementation>;
