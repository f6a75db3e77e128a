/**
 * An HTTP service whose requests a BPF program counts and times, inside the same process: no kernel, no root.
 *
 *     node examples/http/service.js [PORT]
 *
 * GET /metrics shows what the program has counted; anything else is answered after a random wait.
 */
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { load } from "bpfjit";

const object = await load(fileURLToPath(new URL("requests.bpf.o", import.meta.url)));
const hook = object.runtime.hooks.get("tracepoint", "http/request");
object.attach();

// struct request of requests.bpf.c
const request = new Uint8Array(32);
const view = new DataView(request.buffer);

function fire(method, status, durationNs) {
  view.setBigUint64(8, durationNs, true);
  view.setUint32(16, status, true);
  request.fill(0, 20, 32);
  new TextEncoder().encodeInto(method, request.subarray(20, 31));
  hook.fire(request);
}

const server = createServer((incoming, response) => {
  const started = process.hrtime.bigint();
  response.on("finish", () => fire(incoming.method ?? "", response.statusCode, process.hrtime.bigint() - started));
  if (incoming.url === "/metrics") {
    const statuses = Object.fromEntries([...object.maps.by_status].map(([status, count]) => [status, Number(count)]));
    const { slots } = object.maps.latency.get(0);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ statuses, latencyLog2Us: slots.map(Number) }));
    return;
  }
  response.statusCode = incoming.url === "/missing" ? 404 : 200;
  response.end("hello\n");
});

server.listen(Number(process.argv[2] ?? 8080), "127.0.0.1", () => {
  process.stdout.write(`listening on ${server.address().port}\n`);
});

for await (const { fields } of object.records("slow_requests")) {
  process.stdout.write(`slow: ${fields.method} ${fields.status} took ${Number(fields.duration_ns) / 1e6} ms\n`);
}
