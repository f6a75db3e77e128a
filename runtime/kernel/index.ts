/** Kernel objects in the arena: what tests give, what sources know. */
export { KernelObject, KernelObjects, type KernelTypes, type KernelValue } from "./objects.ts";
export { KernelSpace, latin1, pointerTo } from "./space.ts";
export { memberAt, ObjectWatch, type StrayRead } from "./watch.ts";
