// Which of the 16384 slots of a cluster a key is in. Promise: what the servers say with CLUSTER KEYSLOT. Next: driver.ts.

/** CRC-16/XMODEM, the one that the Redis Cluster specification names, a byte at a time. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x80_00) === 0 ? crc << 1 : (crc << 1) ^ 0x10_21
  return crc
})

/** The slot of a key made of ASCII characters. Of a key with a hash tag the tag alone counts. */
export function clusterSlot(key: string): number {
  let from = 0
  let to = key.length
  const open = key.indexOf('{')
  if (open >= 0) {
    const close = key.indexOf('}', open + 1)
    if (close > open + 1) {
      from = open + 1
      to = close
    }
  }
  let crc = 0
  for (let i = from; i < to; i++) crc = ((crc << 8) & 0xff_ff) ^ (TABLE[((crc >> 8) ^ key.charCodeAt(i)) & 0xff] as number)
  return crc & 0x3f_ff
}
