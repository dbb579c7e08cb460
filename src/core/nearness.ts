/** Classifies the host of a URL as this machine, its link, or the network. An address can be written in many ways. */

/** Every other host, including private networks. */
const network = 0
/** The link-local network of this machine. Cloud providers serve credentials there, such as at 169.254.169.254. */
const link = 1
/** The loopback network of this machine. */
const machine = 2

export type Nearness = typeof network | typeof link | typeof machine

/**
 * Returns how near a host is, by its address or its name (RFC 6761 §6.3). A greater number is nearer. Names are not
 * resolved, so a name that DNS maps to this machine counts as network.
 */
export const nearness = ({ hostname }: URL): Nearness => {
  // `URL` has normalized the host: IPv4 is four decimal numbers, IPv6 is hexadecimal groups, names are in lower case.
  if (hostname.startsWith("[")) return ofIpv6(groupsOf(hostname.slice(1, -1)))
  const name = hostname.replace(/\.+$/, "")
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) return ofIpv4(name.split(".").map(Number))
  return name === "localhost" || name.endsWith(".localhost") ? machine : network
}

const ofIpv4 = ([first, second]: ReadonlyArray<number>): Nearness => {
  // Linux connects to this machine for 0.0.0.0.
  if (first === 127 || first === 0) return machine
  return first === 169 && second === 254 ? link : network
}

const ofIpv6 = (groups: ReadonlyArray<number>): Nearness => {
  const embedded = embeddedIpv4(groups)
  if (embedded !== undefined) return ofIpv4(embedded.flatMap((group) => [group >> 8, group & 0xff]))
  const [first = 0] = groups
  return (first & 0xffc0) === 0xfe80 ? link : network
}

/** Returns the two groups that contain an IPv4 address. */
const embeddedIpv4 = (groups: ReadonlyArray<number>): ReadonlyArray<number> | undefined => {
  switch (groups.slice(0, 6).join()) {
    case "0,0,0,0,0,0": // IPv4-compatible (RFC 4291 §2.5.5.1). `::` and `::1` match, too, as 0.0.0.0 and 0.0.0.1.
    case "0,0,0,0,0,65535": // IPv4-mapped (RFC 4291 §2.5.5.2)
    case "0,0,0,0,65535,0": // IPv4-translated (RFC 7915 §2)
      return groups.slice(6)
  }
  // NAT64: 64:ff9b::/96 (RFC 6052 §2.1), and 64:ff9b:1::/48 in local networks (RFC 8215).
  if (groups[0] === 0x64 && groups[1] === 0xff9b) return groups.slice(6)
  // 6to4 (RFC 3056 §2)
  return groups[0] === 0x2002 ? groups.slice(1, 3) : undefined
}

const groupsOf = (address: string): ReadonlyArray<number> => {
  const [before = [], after = []] = address
    .split("::")
    .map((part) => (part === "" ? [] : part.split(":").map((group) => parseInt(group, 16))))
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}
