/** Character classes of the kernel's Latin-1 table (lib/ctype.c), which its format parsers ask for. A character is a byte. */

export const isAscii = (byte: number): boolean => byte < 0x80;
export const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
/** tab … carriage return, blank, no-break space */
export const isSpace = (byte: number): boolean => (byte >= 9 && byte <= 13) || byte === 0x20 || byte === 0xa0;

export function isAlphaNumeric(byte: number): boolean {
  if (isDigit(byte)) return true;
  if (isAscii(byte)) return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
  return byte >= 0xc0 && byte !== MULTIPLICATION_SIGN && byte !== DIVISION_SIGN;
}
const MULTIPLICATION_SIGN = 0xd7;
const DIVISION_SIGN = 0xf7;

export function isPrintable(byte: number): boolean {
  return isAscii(byte) ? byte >= 0x20 && byte !== 0x7f : byte >= 0xa0;
}

export const isPunctuation = (byte: number): boolean => isPrintable(byte) && !isSpace(byte) && !isAlphaNumeric(byte);
