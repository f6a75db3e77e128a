/** A slow-down is seen: judged on numbers, and on an engine that does everything twice. */
import { describe, expect, test } from "vitest";
import { calibrate } from "../../bench/calibration.ts";
import { better, judge, measureRatios, middle, type Ratios } from "../../bench/regression.ts";
import { workloadSubject } from "../../bench/subjects.ts";
import { WORKLOADS } from "../../bench/workloads.ts";

describe("judge", () => {
  const stored: Ratios = { "kernel-loop": 0.2, calibration: 3 };

  test("twice the time is slower, a quarter more is not", () => {
    expect(judge("x", { "kernel-loop": 0.4, calibration: 3 }, stored)).toMatchObject({ isSlower: true, stored: 0.2 });
    expect(judge("x", { "kernel-loop": 0.25, calibration: 6 }, stored).isSlower).toBe(false);
  });
  test("without the kernel the loop is the yardstick", () => {
    expect(judge("x", { calibration: 6 }, stored)).toMatchObject({ isSlower: true, yardstick: "calibration" });
    expect(judge("x", { calibration: 3.7 }, stored).isSlower).toBe(false);
  });
  test("what is not stored cannot be slower", () => {
    expect(judge("x", { calibration: 6 }, undefined)).toMatchObject({ isSlower: false, stored: null });
  });
  test("what is stored is the median, yardstick by yardstick", () => {
    expect(
      middle([{ "kernel-loop": 3, calibration: 1 }, { "kernel-loop": 2, calibration: 9 }, { calibration: 5 }]),
    ).toEqual({
      "kernel-loop": 2.5,
      calibration: 5,
    });
  });
  test("of two measurements the better one counts, yardstick by yardstick", () => {
    expect(better({ "kernel-loop": 0.5, calibration: 2 }, { calibration: 3 })).toEqual({
      "kernel-loop": 0.5,
      calibration: 2,
    });
  });
});

/** Two links run the program twice an event. */
test("an engine that does twice the work is found, the same engine is not", {
  timeout: 120_000,
  retry: 2,
}, async () => {
  const workload = WORKLOADS.find(({ name }) => name === "compute")!;
  const ratiosWith = async (links: number): Promise<Ratios> => {
    const subject = await workloadSubject({ ...workload, links }, null);
    try {
      return await measureRatios(subject, { samples: 3, calibrate });
    } finally {
      subject.close();
    }
  };
  const stored = better(await ratiosWith(1), await ratiosWith(1));
  expect(judge("compute", better(await ratiosWith(1), await ratiosWith(1)), stored).isSlower).toBe(false);
  expect(judge("compute", better(await ratiosWith(2), await ratiosWith(2)), stored).isSlower).toBe(true);
});
