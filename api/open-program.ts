/** A program of an object that is open: whether it is loaded, as which type, and what it attaches to. */
import { UsageError } from "../base/index.ts";
import type { ProgramEdit } from "../compiler/index.ts";
import { ATTACH_TYPES, type AttachTypeName, type ProgramTypeName, programTypeByName } from "../spec/index.ts";
import type { RequireOpen } from "./open-map.ts";

/** What an object says of a program before it is loaded. */
export interface ProgramInfo {
  readonly name: string;
  readonly section: string;
  /** null: the section's name does not say */
  readonly type: ProgramTypeName | null;
  readonly attachType: AttachTypeName | null;
  readonly attachTarget: string | null;
  readonly autoload: boolean;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export class OpenProgram {
  readonly name: string;
  readonly section: string;
  readonly #info: ProgramInfo;
  readonly #edit: Writable<ProgramEdit> = {};
  readonly #requireOpen: RequireOpen;

  constructor(info: ProgramInfo, requireOpen: RequireOpen) {
    this.name = info.name;
    this.section = info.section;
    this.#info = info;
    this.#requireOpen = requireOpen;
  }

  /** What was changed, null where nothing was. */
  get edit(): ProgramEdit | null {
    return Object.keys(this.#edit).length === 0 ? null : { ...this.#edit };
  }

  get autoload(): boolean {
    return this.#edit.autoload ?? this.#info.autoload;
  }
  set autoload(load: boolean) {
    this.#requireOpen();
    this.#edit.autoload = load === true;
  }

  get type(): ProgramTypeName | null {
    return this.#edit.type ?? this.#info.type;
  }
  set type(type: ProgramTypeName) {
    this.#requireOpen();
    if (programTypeByName(type) === undefined) throw new UsageError("USAGE", `there is no program type ${type}`);
    this.#edit.type = type;
  }

  get attachType(): AttachTypeName | null {
    return this.#edit.attachType === undefined ? this.#info.attachType : this.#edit.attachType;
  }
  set attachType(type: AttachTypeName | null) {
    this.#requireOpen();
    if (type !== null && !ATTACH_TYPES.includes(type))
      throw new UsageError("USAGE", `there is no attach type ${String(type)}`);
    this.#edit.attachType = type;
  }

  /** What the section's name would say behind its prefix: a function, `module:function`, a tracepoint, an LSM hook. */
  get attachTarget(): string | null {
    return this.#edit.attachTarget === undefined ? this.#info.attachTarget : this.#edit.attachTarget;
  }
  set attachTarget(target: string | null) {
    this.#requireOpen();
    this.#edit.attachTarget = target;
  }
}
