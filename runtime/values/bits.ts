/** Bit-fields: little-endian, so bit 0 of a struct is the lowest bit of its first byte. At most 64 bits, anywhere. */

/** Unsigned, or signed by two's complement. */
export function readBits(view: DataView, address: number, offsetBits: number, bits: number, signed: boolean): bigint {
  let value = 0n;
  const { first, last } = span(offsetBits, bits);
  for (let byte = last; byte >= first; byte--) value = (value << 8n) | BigInt(view.getUint8(address + byte));
  value >>= BigInt(offsetBits & 7);
  return signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
}

/** The bits around it stay. */
export function writeBits(view: DataView, address: number, offsetBits: number, bits: number, value: bigint): void {
  const { first, last } = span(offsetBits, bits);
  const shift = BigInt(offsetBits & 7);
  let mask = BigInt.asUintN(bits, -1n) << shift;
  let rest = BigInt.asUintN(bits, value) << shift;
  for (let byte = first; byte <= last; byte++) {
    const kept = view.getUint8(address + byte) & ~Number(mask & 0xffn);
    view.setUint8(address + byte, kept | Number(rest & 0xffn));
    mask >>= 8n;
    rest >>= 8n;
  }
}

const span = (offsetBits: number, bits: number) => ({ first: offsetBits >> 3, last: (offsetBits + bits - 1) >> 3 });
