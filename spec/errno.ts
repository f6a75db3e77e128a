/** Linux errno numbers that programs and loaders see. Source: include/uapi/asm-generic/errno*.h, include/linux/errno.h. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSPC: 28,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ELOOP: 40,
  ENODATA: 61,
  ENOLINK: 67,
  EPROTO: 71,
  EOVERFLOW: 75,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  ETIMEDOUT: 110,
  ENOTSUPP: 524,
} as const;

export type ErrnoName = keyof typeof ERRNO;

const NAMES = new Map<number, ErrnoName>(Object.entries(ERRNO).map(([name, number]) => [number, name as ErrnoName]));

/** `22` or `-22` → `"EINVAL"`; null where the number is not in the table. */
export function errnoName(number: number): ErrnoName | null {
  return NAMES.get(Math.abs(number)) ?? null;
}

/** The name of what a system call failed with, as Node's errors have it; undefined where it is none of the table. */
export function errnoOf(cause: unknown): ErrnoName | undefined {
  const { code } = (cause ?? {}) as { readonly code?: unknown };
  return typeof code === "string" && Object.hasOwn(ERRNO, code) ? (code as ErrnoName) : undefined;
}
