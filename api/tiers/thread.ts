/** The thread that optimises: verifies and compiles what it is sent, one after the other, with a binaryen of its own. */
import { parentPort } from "node:worker_threads";
import { verifyAndLower } from "../compilation.ts";
import { type OptimizeReply, type OptimizeRequest, unpackCompilation } from "./message.ts";

let turn: Promise<unknown> = Promise.resolve();

parentPort!.on("message", ({ job, request }: { readonly job: number; readonly request: OptimizeRequest }) => {
  turn = turn.then(async () => parentPort!.postMessage({ job, reply: await optimize(request) }));
});

async function optimize(request: OptimizeRequest): Promise<OptimizeReply> {
  try {
    const { wasm } = await verifyAndLower(unpackCompilation(request));
    return { wasm };
  } catch (error) {
    return { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
