/** The hot-path library as a Wasm module: spec/library.ts says what it exports and imports. */
import { LIBRARY_BASE64 } from "./library.gen.ts";

export const libraryBytes: Uint8Array = Uint8Array.from(atob(LIBRARY_BASE64.replaceAll("\n", "")), (character) =>
  character.charCodeAt(0),
);
