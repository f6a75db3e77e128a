/** Kernel objects in the arena: what tests give, what sources know. */
export { KernelObject, KernelObjects, type KernelTypes, type KernelValue } from "./objects.ts";
export { KernelSpace, pointerTo } from "./space.ts";
