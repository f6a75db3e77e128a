/**
 * A bound on how long types are compared. Types refer to one another as a graph, comparison walks it as a tree, so a few
 * hostile types can make more paths than there is time; honest ones stay far below.
 */
import { ObjectError } from "../../../base/index.ts";

const MOST_STEPS = 3_000_000;

export class Steps {
  #left = MOST_STEPS;

  take(count = 1): void {
    this.#left -= count;
    if (this.#left < 0) throw new ObjectError("BTF_MALFORMED", "types are too entangled to be compared");
  }
}
