export { chartPage } from "./page.ts";
export { chartSvg } from "./svg.ts";
