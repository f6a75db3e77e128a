export { openPerfData } from "./source.ts";
