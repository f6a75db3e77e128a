/** A C type as C would declare it: `inspect --btf`. */
import type { CMember, CType } from "../spec/index.ts";

/** `struct record { … };` with the offset and size of each member in bytes. */
export function describeType(type: CType): string {
  if (type.kind !== "struct" && type.kind !== "union") return `${declare(type, "")};`;
  const lines = type.members.map((member) => memberLine(member));
  return [`${type.kind} ${type.name} { /* ${type.size} bytes */`, ...lines, "};"].join("\n");
}

function memberLine(member: CMember): string {
  const bits = member.bitfieldBits === 0 ? "" : ` : ${member.bitfieldBits}`;
  return `\t${`${declare(member.type, member.name)}${bits};`.padEnd(40)} /* ${member.offsetBits / 8} ${member.type.size} */`;
}

function declare(type: CType, name: string): string {
  const named = name === "" ? "" : ` ${name}`;
  switch (type.kind) {
    case "array":
      return declare(type.element, `${name}[${type.length}]`);
    case "pointer":
      return `${type.target} *${name}`;
    case "struct":
    case "union":
    case "enum":
      return `${type.kind} ${type.name === "" ? "{ … }" : type.name}${named}`;
    default:
      return `${type.name}${named}`;
  }
}
