/** What a sampling thread is started with, and what it sends when it is stopped. */
export interface SamplerData {
  readonly memory: WebAssembly.Memory;
  /** addresses of WORKER blocks */
  readonly workers: readonly number[];
  /** address of a word: 0 until the thread is to stop */
  readonly control: number;
  readonly intervalUs: number;
}

/** What a worker was found doing: the number of its place, then those of the calls under way, innermost first. */
export interface SampledStack {
  readonly places: readonly number[];
  readonly samples: number;
  /** time between these samples and those before them */
  readonly ns: number;
}

export type SamplerMessage =
  | { readonly kind: "sampling" }
  | { readonly kind: "done"; readonly stacks: readonly SampledStack[] };
