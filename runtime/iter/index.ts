/** Iterators: what a link of theirs walks, and the text that its program makes of it. */
export type { GivenElement } from "./given.ts";
export { Iteration, type IterationOptions } from "./iteration.ts";
export { type IteratorOptions, iteratorTarget } from "./target.ts";
export type { IteratorTarget } from "./walk.ts";
