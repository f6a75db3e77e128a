/** The context, memory that may only be read, kernel structs. */
import type { CtxField } from "../../../../spec/ctx.ts";
import { CLASS } from "../../../../spec/isa.ts";
import { baseType, REG } from "../../register.ts";
import type { Account, Rule, Scene } from "../scene.ts";
import { between, registerOf, trailOfRegister } from "../scene.ts";
import { offsetSteps, originSteps } from "../steps.ts";
import { accessBytes, calleeName, holdsWords, plural } from "../words.ts";

export const CONTEXT_RULES: readonly Rule[] = [
  {
    message: /^invalid bpf_context access off=(-?\d+) size=(\d+)$/,
    explain: (scene, [, off, size]) => context(scene, Number(off), Number(size)),
  },
  {
    message: /^(?:dereference of modified|negative offset) ctx ptr R(\d+) off=(-?\d+) disallowed$/,
    explain: (scene, [, r, off]) => moved(scene, Number(r), Number(off)),
  },
  { message: /^variable ctx access var_off=\S+(?: \S+)? disallowed$/, explain: variable },
  { message: /^write into map forbidden/, explain: (scene) => readOnly(scene) },
  { message: /^read from map forbidden/, explain: (scene) => readOnly(scene) },
  { message: /^cannot write into packet$/, explain: (scene) => readOnly(scene) },
  { message: /^R(\d+) cannot write into (\S+)$/, explain: (scene) => readOnly(scene) },
  { message: /^write to change key R\d+ not allowed$/, explain: (scene) => readOnly(scene) },
  {
    message: /^only read is supported$/,
    explain: (scene) => kernelStruct(scene, "kernel structs can be read, not written"),
  },
  {
    message: /^access beyond (?:struct|the end of) (.+?)(?: at off (\d+) size (\d+))?$/,
    explain: (scene, [, what]) => kernelStruct(scene, `\`${what}\` has no such bytes`),
  },
  {
    message: /^struct (\S+) doesn't have field at offset (\d+)$/,
    explain: (scene, [, name, off]) => kernelStruct(scene, `\`struct ${name}\` has no field at offset ${off}`),
  },
  {
    message: /^cannot access ptr member (\S+)/,
    explain: (scene, [, name]) =>
      kernelStruct(scene, `member \`${name}\` is a pointer, and can only be read as a whole: 8 bytes`),
  },
  {
    message: /^R\d+ is ptr_\S+ invalid (?:variable offset|negative access): /,
    explain: (scene) => kernelStruct(scene, "kernel structs can only be read at constant offsets of their fields"),
  },
  {
    message: /^Cannot access kernel 'struct (\S+)' from non-GPL compatible program$/,
    explain: (scene, [, name]) => gpl(scene, name!),
  },
];

/** The register whose memory the instruction at fault accesses. */
const addressOf = (scene: Scene): number => {
  const insn = scene.env.insns[scene.insnIndex]!;
  return (insn.opcode & 7) === CLASS.LDX ? insn.src : insn.dst;
};

function context(scene: Scene, off: number, size: number): Account {
  const { env, program } = scene;
  const insn = env.insns[scene.insnIndex]!;
  const write = (insn.opcode & 7) !== CLASS.LDX;
  const verb = write ? "writes" : "reads";
  const struct = env.hook === null && env.ctx.fields.length > 0 ? `struct ${env.ctx.name}` : "the context";
  const fields: readonly CtxField[] = env.ctx.fields;
  const field = fields.find((known) => off >= known.offset && off < known.offset + known.size);
  const account = (headline: string, limits: Account["limits"]): Account => ({
    kind: "context-access",
    headline,
    steps: [],
    fault: `${verb} ${plural(size, "byte")} at offset ${off} of the context${field === undefined ? "" : `: field \`${field.name}\``}`,
    ...(limits && { limits }),
  });
  const { open } = env.ctx;
  if (env.hook !== null) {
    return account(`this argument does not exist, or cannot be ${write ? "written" : "read"} like this`, []);
  }
  if (off % size !== 0) {
    return account(
      `${plural(size, "byte")} of the context are accessed at offset ${off}, which is not a multiple of ${size}`,
      [{ what: "offset", allowed: [`multiples of ${size}`], found: [String(off)] }],
    );
  }
  if (field === undefined) {
    const range = open === null ? null : between(open.from, open.to - size);
    if (range !== null && off >= open!.from && off < open!.to) {
      return account(`programs of type ${program.type} can only read these bytes of their context`, [
        {
          what: "access",
          allowed: open!.size === undefined ? ["read"] : [`read of ${open!.size} bytes`],
          found: [`${write ? "write" : "read"} of ${size} bytes`],
        },
      ]);
    }
    return account(`${struct} has nothing at offset ${off} that programs of type ${program.type} may access`, [
      range === null
        ? {
            what: "fields",
            allowed: fields.map(({ name, offset }) => `${name} (offset ${offset})`),
            found: [`offset ${off}`],
          }
        : { what: "offset", allowed: range, found: between(off, off) },
    ]);
  }
  const name = `\`${field.name}\``;
  if (write && !field.write) {
    const writable = fields.filter((known) => known.write).map((known) => known.name);
    return account(`programs of type ${program.type} cannot write field ${name} of ${struct}, only read it`, [
      { what: "fields that may be written", allowed: writable.length === 0 ? ["none"] : writable, found: [field.name] },
    ]);
  }
  const types = (write ? field.writeTypes : undefined) ?? field.attachTypes;
  if (types !== undefined && (env.attachType === null || !types.includes(env.attachType))) {
    return account(
      `field ${name} of ${struct} cannot be ${write ? "written" : "read"} by programs of attach type ${env.attachType ?? "none"}`,
      [{ what: "attach type", allowed: types, found: [env.attachType ?? "none"] }],
    );
  }
  const isWhole = write || field.narrow === false || field.kind !== "scalar";
  return account(
    `field ${name} of ${struct} is ${plural(field.size, "byte")}, and cannot be accessed as ${plural(size, "byte")} at offset ${off}`,
    [
      {
        what: "size of the access",
        allowed: isWhole ? between(field.size, field.size) : between(field.narrowest ?? 1, field.size),
        found: between(size, size),
      },
    ],
  );
}

function moved(scene: Scene, register: number, off: number): Account {
  return {
    kind: "context-access",
    headline: `the context pointer was moved by ${off} bytes before it is used: it must be used as the program was given it`,
    steps: offsetSteps(scene, trailOfRegister(scene, register)),
    fault: "fields must be accessed with a constant offset from the context itself",
    limits: [{ what: "offset of the pointer", allowed: between(0, 0), found: between(off, off) }],
  };
}

function variable(scene: Scene): Account {
  return {
    kind: "context-access",
    headline: "the context is accessed at an offset that is not a constant",
    steps: offsetSteps(scene, trailOfRegister(scene, addressOf(scene))),
    fault: "which field this is must be known when the program is loaded",
    limits: [{ what: "offset", allowed: ["a constant"], found: ["a variable"] }],
  };
}

function readOnly(scene: Scene): Account {
  const callee = calleeName(scene.env, scene.insnIndex);
  const register =
    callee === null
      ? addressOf(scene)
      : ([1, 2, 3, 4, 5].find((r) => baseType(registerOf(scene, r).type) === REG.MAP_PTR) ?? 1);
  const reg = registerOf(scene, register);
  const isRead = scene.message.startsWith("read");
  const map = reg.map;
  const isGlobal = map?.name.includes(".rodata") === true;
  const what = isGlobal
    ? "a `const` global variable"
    : map !== null
      ? `map \`${map.name}\``
      : holdsWords(reg).replace("a pointer into ", "").replace("a pointer to ", "");
  const why = isGlobal
    ? "it is in the read-only data of the object"
    : map !== null
      ? `the map was made with ${isRead ? "BPF_F_WRONLY_PROG" : "BPF_F_RDONLY_PROG"}, or its kind does not allow it`
      : `programs of type ${scene.program.type} may only read it`;
  const insn = scene.env.insns[scene.insnIndex]!;
  const doing =
    callee === null
      ? `${isRead ? "reads" : "writes"} ${plural(accessBytes(insn.opcode), "byte")}`
      : `${callee}() would write`;
  return {
    kind: "read-only-memory",
    headline: `${what} cannot be ${isRead ? "read" : "written"} by the program: ${why}`,
    steps: originSteps(scene, trailOfRegister(scene, register)),
    fault: doing,
    limits: [{ what: "access", allowed: [isRead ? "write" : "read"], found: [isRead ? "read" : "write"] }],
  };
}

function kernelStruct(scene: Scene, why: string): Account {
  const register = addressOf(scene);
  return {
    kind: "kernel-struct-access",
    headline: why,
    steps: originSteps(scene, trailOfRegister(scene, register)),
    fault: `${holdsWords(registerOf(scene, register))} is used here`,
  };
}

function gpl(scene: Scene, name: string): Account {
  return {
    kind: "gpl-only",
    headline: `only programs under a GPL-compatible licence may read \`struct ${name}\` directly`,
    steps: [],
    fault: "it is read here",
    limits: [{ what: "licence", allowed: ["GPL", "Dual BSD/GPL", "Dual MIT/GPL"], found: [scene.program.license] }],
  };
}
