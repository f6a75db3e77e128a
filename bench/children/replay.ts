/** node replay.js NAME CAPTURE: replays it again and again, and prints the first time and the median of the last four as JSON. */
import { REPLAYS } from "../replay.ts";
import { median } from "../statistics.ts";

const REPLAYED = 7;
/** Of them, at the end: nothing is compiled any more then, neither V8's code of reader and program nor, before it, the compiler's own. */
const WARM = 4;

const [name, path] = process.argv.slice(2);
const replay = REPLAYS[name as keyof typeof REPLAYS];
const seconds: number[] = [];
let events = 0;
for (let round = 0; round < REPLAYED; round++) {
  const found = await replay(path!);
  seconds.push(found.seconds);
  events = found.events;
}
process.stdout.write(`${JSON.stringify({ events, first: seconds[0], seconds: median(seconds.slice(-WARM)) })}\n`);
