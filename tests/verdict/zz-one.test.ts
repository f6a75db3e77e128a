import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "vitest";
import { verify } from "../../compiler/verifier/index.ts";
import { targetBtf } from "../filetests/runner/target.ts";
import { kernelVerdicts } from "../verifier/kernel/kernel.ts";
import { kernelProgram } from "./kernel-functions.ts";

test("one", () => {
  const { program } = kernelProgram(Number(process.env.SEED), targetBtf()!);
  const strip = (t: string) =>
    t
      .replace(/^(Live regs before insn:| *\d* *\d+: [.0-9]{10} \(.*|\([\d,]+\) (frame \d+ insn|live stack).*)\n/gm, "")
      .replace(/_w\b/g, "")
      .replace(/ +;/g, " ;");
  writeFileSync("/tmp/kf/a.log", strip(verify(program, { logLevel: 2 }).log));
  writeFileSync(
    "/tmp/kf/b.log",
    strip(kernelVerdicts([program], fileURLToPath(new URL("../verifier/kernel/load.c", import.meta.url)), 2)![0]!.log),
  );
});
