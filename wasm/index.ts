/** The hot-path library as a Wasm module: spec/library.ts says what it exports and imports. */
import { LIBRARY_BASE64 } from "./library.gen.ts";

let decoded: Uint8Array | null = null;

/** Decoded when it is first asked for: what only names the package need not wait for it. */
export function libraryBytes(): Uint8Array {
  decoded ??= new Uint8Array(Buffer.from(LIBRARY_BASE64, "base64"));
  return decoded;
}
