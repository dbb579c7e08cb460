/** Derives the key of a client from its address. */

const ipv4 = /^(?:::ffff:)?(\d{1,3}(?:\.\d{1,3}){3})$/i

/**
 * Returns an IPv4 address, or the first 64 bits of an IPv6 address. A client usually controls all addresses of such a
 * network (RFC 4291 §2.5.4), so a limit for each address would be no limit.
 */
export const networkOf = (address: string): string => {
  const mapped = ipv4.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  const [text = ""] = address.toLowerCase().split("%")
  if (!text.includes(":")) return text
  const [head = "", tail] = text.split("::")
  const before = head === "" ? [] : head.split(":")
  const after = tail === undefined || tail === "" ? [] : tail.split(":")
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length)
  const groups = [...before, ...Array.from({ length: zeros }, () => "0"), ...after].map((group) =>
    group.replace(/^0+(?=.)/, "")
  )
  // An IPv4 address may be written in hexadecimal digits, too: `::ffff:c000:201`.
  if (groups.length === 8 && groups.slice(0, 6).join(":") === "0:0:0:0:0:ffff") {
    return groups.slice(6).flatMap(bytesOf).join(".")
  }
  return `${groups.slice(0, 4).join(":")}::/64`
}

/** Returns the two bytes of a group. */
const bytesOf = (group: string): ReadonlyArray<number> => {
  const number = Number.parseInt(group, 16)
  return [number >> 8, number & 255]
}
