/**
 * What the program costs a request: fires the tracepoint as the service does, without HTTP around it.
 *
 *     node examples/http/cost.js [REQUESTS]
 */
import { fileURLToPath } from "node:url";
import { defineTracepoint, load } from "bpfjit";

const HTTP_REQUEST = defineTracepoint("http_request", { args: { method: "str", status: "u32", duration_ns: "u64" } });
const path = fileURLToPath(new URL("requests.bpf.o", import.meta.url));
const object = await load(path, { tracepoints: [HTTP_REQUEST] });
const httpRequest = object.runtime.tracepoint(HTTP_REQUEST);
const requests = Number(process.argv[2] ?? 1_000_000);

function nsPerRequest() {
  const started = process.hrtime.bigint();
  for (let index = 0; index < requests; index++) {
    httpRequest.fire({ method: "GET", status: 200, duration_ns: 1_000_000n });
  }
  return Number(process.hrtime.bigint() - started) / requests;
}

const figures = (label) => {
  const rounds = Array.from({ length: 5 }, nsPerRequest).sort((a, b) => a - b);
  process.stdout.write(`${label}: ${rounds[2].toFixed(0)} ns a request\n`);
};

figures("without a program");
object.attach();
figures("with it");
process.stdout.write(`counted ${object.maps.by_status.get(200)} requests\n`);
object.close();
