/**
 * Why a program was rejected: verifies it again with its path recorded, finds the rule for the kernel's message, and puts
 * together what the rule picks out of the path. Nothing here is run for a program that is accepted.
 */
import type { Explanation } from "../../../base/explanation.ts";
import { FAULTS, faultAnchor } from "../../../spec/faults.ts";
import type { Program } from "../../program.ts";
import type { Env } from "../env.ts";
import type { Rejection } from "../failure.ts";
import { PathRecorder, VisitCounter } from "./path.ts";
import { accountOf } from "./rules/index.ts";
import { chainOf, placeOf, type Scene } from "./scene.ts";

/** The verification once more, told to `recorder`; returns what it left behind. */
export type Replay = (recorder: Env["recorder"]) => Env;

export function explainRejection(
  program: Program,
  rejection: Rejection,
  insnIndex: number,
  replay: Replay,
): Explanation {
  const scene = stage(program, rejection, insnIndex, replay);
  const account = accountOf(scene);
  return {
    kind: account.kind,
    title: FAULTS[account.kind].title,
    headline: account.headline,
    place: placeOf(scene, account.insnIndex ?? insnIndex),
    chain: chainOf(scene, account),
    limits: account.limits ?? [],
    remedies: FAULTS[account.kind].remedies,
    docs: faultAnchor(account.kind),
    errno: rejection.errno,
    message: rejection.message,
  };
}

function stage(program: Program, rejection: Rejection, insnIndex: number, replay: Replay): Scene {
  const { errno, message } = rejection;
  const about = { program, errno, message, insnIndex };
  // Of a million instructions only how often each was met is kept.
  if (message.startsWith("BPF program is too large")) {
    const counter = new VisitCounter(program.insns.length);
    return { ...about, env: replay(counter), lines: [message], path: [], counts: counter.counts };
  }
  const recorder = new PathRecorder();
  const env = replay(recorder);
  const lines = env.log
    .toString()
    .split("\n")
    .filter((line) => line !== "");
  const path = recorder.path();
  // Faults found before or after exploration have no path.
  return { ...about, env, lines, path: path.at(-1)?.insnIndex === insnIndex ? path : [], counts: null };
}
