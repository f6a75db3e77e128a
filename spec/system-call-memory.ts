/**
 * What memory of the caller's the arguments of system calls name, as far as programs look at it: which of the up to six
 * arguments are texts, buffers, or arrays of texts. Numbers and names as on x86-64. Calls that only fill memory are left
 * out: what they wrote is there when the program looks. Source: syscall_64.tbl, the calls' man pages.
 */

/** Bytes at an argument: as many as another argument says, or always so many. */
export interface MemoryArgument {
  readonly index: number;
  readonly bytes: { readonly argument: number } | number;
}

export interface SystemCallMemory {
  readonly number: number;
  /** as in the names of its tracepoints: `sys_enter_NAME` */
  readonly name: string;
  /** arguments that are zero-terminated texts */
  readonly texts: readonly number[];
  readonly memory: readonly MemoryArgument[];
  /** arguments that are arrays of texts, ended by a null pointer */
  readonly lists: readonly number[];
}

type More = Partial<Pick<SystemCallMemory, "memory" | "lists">>;

const row = (number: number, name: string, texts: readonly number[], more: More = {}): SystemCallMemory => ({
  number,
  name,
  texts,
  memory: more.memory ?? [],
  lists: more.lists ?? [],
});

const buffer = (index: number, bytes: number): More => ({ memory: [{ index, bytes: { argument: bytes } }] });
const structure = (index: number, bytes: number): More => ({ memory: [{ index, bytes }] });

const TIMESPEC_BYTES = 16;

export const SYSTEM_CALL_MEMORY: readonly SystemCallMemory[] = [
  row(1, "write", [], buffer(1, 2)),
  row(2, "open", [0]),
  row(4, "newstat", [0]),
  row(6, "newlstat", [0]),
  row(18, "pwrite64", [], buffer(1, 2)),
  row(21, "access", [0]),
  row(35, "nanosleep", [], structure(0, TIMESPEC_BYTES)),
  row(42, "connect", [], buffer(1, 2)),
  row(44, "sendto", [], {
    memory: [
      { index: 1, bytes: { argument: 2 } },
      { index: 4, bytes: { argument: 5 } },
    ],
  }),
  row(49, "bind", [], buffer(1, 2)),
  row(59, "execve", [0], { lists: [1] }),
  row(76, "truncate", [0]),
  row(80, "chdir", [0]),
  row(82, "rename", [0, 1]),
  row(83, "mkdir", [0]),
  row(84, "rmdir", [0]),
  row(85, "creat", [0]),
  row(86, "link", [0, 1]),
  row(87, "unlink", [0]),
  row(88, "symlink", [0, 1]),
  row(89, "readlink", [0]),
  row(90, "chmod", [0]),
  row(92, "chown", [0]),
  row(94, "lchown", [0]),
  row(133, "mknod", [0]),
  row(137, "statfs", [0]),
  row(155, "pivot_root", [0, 1]),
  row(161, "chroot", [0]),
  row(165, "mount", [0, 1, 2, 4]),
  row(166, "umount", [0]),
  row(188, "setxattr", [0, 1]),
  row(191, "getxattr", [0, 1]),
  row(197, "removexattr", [0, 1]),
  row(230, "clock_nanosleep", [], structure(2, TIMESPEC_BYTES)),
  row(254, "inotify_add_watch", [1]),
  row(257, "openat", [1]),
  row(258, "mkdirat", [1]),
  row(259, "mknodat", [1]),
  row(260, "fchownat", [1]),
  row(262, "newfstatat", [1]),
  row(263, "unlinkat", [1]),
  row(264, "renameat", [1, 3]),
  row(265, "linkat", [1, 3]),
  row(266, "symlinkat", [0, 2]),
  row(267, "readlinkat", [1]),
  row(268, "fchmodat", [1]),
  row(269, "faccessat", [1]),
  row(280, "utimensat", [1]),
  row(316, "renameat2", [1, 3]),
  row(319, "memfd_create", [0]),
  row(322, "execveat", [1], { lists: [2] }),
  row(332, "statx", [1]),
  row(437, "openat2", [1], structure(2, 24)),
  row(439, "faccessat2", [1]),
];
