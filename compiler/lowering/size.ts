/** V8 refuses functions of more than 7,654,321 bytes: found out here, where it has a name, not when the module is compiled. */
import { UnsupportedError } from "../../base/errors.ts";

/** kV8MaxWasmFunctionSize */
const FUNCTION_BYTES_LIMIT = 7_654_321;
const CODE_SECTION = 10;

/** What the error names. */
export const VERY_LARGE_FUNCTION = "very large function";

/** Throws UnsupportedError when the module has a function that no engine of Node would take. `wasm` is well-formed: ours. */
export function checkFunctionSizes(wasm: Uint8Array, objectName: string): void {
  if (wasm.length <= FUNCTION_BYTES_LIMIT) return;
  const reader = new LebReader(wasm, 8);
  while (reader.offset < wasm.length) {
    const id = wasm[reader.offset++]!;
    const size = reader.read();
    const end = reader.offset + size;
    if (id === CODE_SECTION) {
      const count = reader.read();
      for (let index = 0; index < count; index++) {
        const bytes = reader.read();
        if (bytes > FUNCTION_BYTES_LIMIT) throw tooLarge(bytes, objectName);
        reader.offset += bytes;
      }
    }
    reader.offset = end;
  }
}

const tooLarge = (bytes: number, object: string): UnsupportedError =>
  new UnsupportedError(
    "UNSUPPORTED_FEATURE",
    VERY_LARGE_FUNCTION,
    `a function takes ${bytes} bytes of WebAssembly, the engine's limit is ${FUNCTION_BYTES_LIMIT}`,
    { where: { object }, hint: "split the function, or link it with fewer unrolled loops" },
  );

class LebReader {
  offset: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = bytes;
    this.offset = offset;
  }

  read(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.offset++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
  }
}
