/**
 * The verifier and the lowering, loaded when the first program is compiled: half of the package, which programs from a cache or
 * ahead of time never need. What reads objects is small and imported as usual.
 */
import type * as compiler from "../compiler/index.ts";

export const loadCompiler = (): Promise<Pick<typeof compiler, "lowerObject" | "verify">> =>
  import("../compiler/index.ts");
