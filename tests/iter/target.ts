/** The kernel in small that the tests' programs are loaded for where they are not compared with a real one. */
import { fileURLToPath } from "node:url";
import { type KernelTarget, readKernel } from "../../api/index.ts";

export const TARGET: KernelTarget = readKernel(fileURLToPath(new URL("fixtures/kernel.bpf.o", import.meta.url)));
