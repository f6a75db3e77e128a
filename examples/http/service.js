/**
 * An HTTP service whose requests a BPF program counts and times, inside the same process: no kernel, no root.
 *
 *     node examples/http/service.js [PORT]
 *
 * GET /metrics shows what the program has counted; anything else is answered after a random wait.
 */
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { defineTracepoint, openObject } from "bpfjit";

const HTTP_REQUEST = defineTracepoint("http_request", { args: { method: "str", status: "u32", duration_ns: "u64" } });

const program = await openObject(fileURLToPath(new URL("requests.bpf.o", import.meta.url)), {
  tracepoints: [HTTP_REQUEST],
});
program.rodata.sample_every = 1000;
const object = await program.load();
object.attach();
const httpRequest = object.runtime.tracepoint(HTTP_REQUEST);

const server = createServer((incoming, response) => {
  const started = process.hrtime.bigint();
  response.on("finish", () => {
    const duration_ns = process.hrtime.bigint() - started;
    httpRequest.fire({ method: incoming.method ?? "", status: response.statusCode, duration_ns });
  });
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

for await (const { fields } of object.records("reports")) {
  process.stdout.write(`${fields.method} ${fields.status} took ${Number(fields.duration_ns) / 1e6} ms\n`);
}
