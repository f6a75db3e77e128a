/** The places of a module compiled with `profile`: functions, their lines, calls on them. What writes their numbers is profile.ts. */
import type { ProfileFunction, ProfileLine, ProfilePlace, ProfileTable } from "../../spec/index.ts";
import type { Program } from "../program.ts";

/** Numbered as they are met, so that the same programs get the same numbers. */
export class PlaceTable {
  readonly #functions: ProfileFunction[] = [];
  readonly #lines: ProfileLine[] = [];
  readonly #places: ProfilePlace[] = [];
  readonly #numbers = new Map<string, number>();

  get table(): ProfileTable {
    return { functions: this.#functions, lines: this.#lines, places: this.#places };
  }

  /** The function of `program` that begins at `insnIndex`. */
  function({ name: program, functions }: Program, insnIndex: number): number {
    const name = functions.find((entry) => entry.insnIndex === insnIndex)?.name ?? program;
    return numberOf(this.#numbers, this.#functions, `function ${program} ${insnIndex}`, () => ({
      program,
      name,
      isMain: insnIndex === 0,
    }));
  }

  place(place: Omit<ProfilePlace, "line">, line: ProfileLine | null): number {
    const { function: owner, insnIndex, helper, calls } = place;
    const at = line === null ? null : this.#line(line);
    const key = `place ${owner} ${at ?? `insn ${insnIndex}`} ${helper} ${calls.join(" ")}`;
    return numberOf(this.#numbers, this.#places, key, () => ({ ...place, line: at }));
  }

  #line({ file, line, text }: ProfileLine): number {
    return numberOf(this.#numbers, this.#lines, `line ${line} ${file}`, () => ({ file, line, text }));
  }
}

function numberOf<Item>(numbers: Map<string, number>, items: Item[], key: string, make: () => Item): number {
  const known = numbers.get(key);
  if (known !== undefined) return known;
  numbers.set(key, items.length);
  return items.push(make()) - 1;
}
