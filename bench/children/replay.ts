/** node replay.js NAME CAPTURE: replays it twice, the first time for V8 to compile what there is, and prints the second as JSON. */
import { REPLAYS } from "../replay.ts";

const [name, path] = process.argv.slice(2);
const replay = REPLAYS[name as keyof typeof REPLAYS];
await replay(path!);
process.stdout.write(`${JSON.stringify(await replay(path!))}\n`);
