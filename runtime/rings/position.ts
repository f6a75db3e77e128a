/** Positions of rings: u64 words that only grow. As numbers they are exact up to 2^53 bytes. */
export function readPosition(view: DataView, address: number): number {
  return view.getUint32(address, true) + view.getUint32(address + 4, true) * 0x1_0000_0000;
}

export function writePosition(view: DataView, address: number, position: number): void {
  view.setUint32(address, position % 0x1_0000_0000, true);
  view.setUint32(address + 4, Math.floor(position / 0x1_0000_0000), true);
}
