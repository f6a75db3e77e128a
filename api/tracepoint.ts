/** Tracepoints that an embedding program defines for its own events. */
import { UsageError } from "../base/index.ts";
import {
  LIMITS,
  TRACEPOINT_ARGUMENTS,
  TRACEPOINT_NAME,
  type TracepointArguments,
  type TracepointDefinition,
} from "../spec/index.ts";

/**
 * A tracepoint with named, typed arguments: give it to load() in `tracepoints`, so that the verifier and typed programs know
 * it, and fire it with `runtime.tracepoint(definition).fire({ … })`. Programs name it as one of the kernel's:
 * `SEC("raw_tp/http_request")` finds the arguments in `ctx->args[]`, `SEC("tp_btf/http_request")` by their types.
 * Throws UsageError for a name that C cannot say, an unknown type, more than 12 arguments.
 */
export function defineTracepoint<const Args extends TracepointArguments>(
  name: string,
  { args }: { readonly args: Args },
): TracepointDefinition<Args> {
  for (const given of [name, ...Object.keys(args)]) {
    if (!TRACEPOINT_NAME.test(given))
      throw new UsageError("USAGE", `"${given}" is no name for a tracepoint or argument`);
  }
  const count = Object.keys(args).length;
  if (count > LIMITS.rawTracepointArguments) {
    throw new UsageError(
      "USAGE",
      `tracepoint ${name} has ${count} arguments, ${LIMITS.rawTracepointArguments} at most`,
    );
  }
  for (const [argument, type] of Object.entries(args)) {
    if (Object.hasOwn(TRACEPOINT_ARGUMENTS, type)) continue;
    throw new UsageError("USAGE", `argument ${argument} of tracepoint ${name} is of unknown type ${String(type)}`, {
      hint: `types are ${Object.keys(TRACEPOINT_ARGUMENTS).join(", ")}`,
    });
  }
  return Object.freeze({ name, args: Object.freeze({ ...args }) });
}

/** Definitions as a file has them: `{ "http_request": { "method": "str", "status": "u32" } }`. Throws as defineTracepoint(). */
export function tracepointsOf(declaration: unknown): TracepointDefinition[] {
  if (!isRecord(declaration)) throw new UsageError("USAGE", "a declaration of tracepoints is an object by their names");
  return Object.entries(declaration).map(([name, args]) => {
    if (!isRecord(args))
      throw new UsageError("USAGE", `tracepoint ${name} is not declared by an object of its arguments`);
    return defineTracepoint(name, { args: args as TracepointArguments });
  });
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
