/** Colours go to terminals, and elsewhere only on request: what reads a pipe is a program, on a CI machine too. */
import { describe, expect, it } from "vitest";
import { bpfjit } from "./command.ts";

const ESCAPE = "\u001b[";
const REJECTED = ["verify", "tests/faults/packet-bounds.rejected.bpf.o"];
const MISSING = ["inspect", "no-such.bpf.o"];

describe("colours in a pipe", () => {
  it("are none, whatever the machine says that it is", async () => {
    for (const environment of [{}, { CI: "true" }]) {
      expect((await bpfjit(REJECTED, "", environment)).stdout).not.toContain(ESCAPE);
      expect((await bpfjit(MISSING, "", environment)).stderr).not.toContain(ESCAPE);
    }
  });

  it("are there where FORCE_COLOR asks for them", async () => {
    const environment = { FORCE_COLOR: "1" };
    expect((await bpfjit(REJECTED, "", environment)).stdout).toContain(ESCAPE);
    expect((await bpfjit(MISSING, "", environment)).stderr).toContain(ESCAPE);
    expect((await bpfjit(REJECTED, "", { ...environment, NO_COLOR: "1" })).stdout).not.toContain(ESCAPE);
  });
});
