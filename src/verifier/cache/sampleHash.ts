/** A hash of at least 32 characters, spread over the whole token, which begins at `start`. */
export const sampleHash = (text: string, start: number): number => {
  const length = text.length - start
  const step = Math.max(1, length >> 5)
  let hash = length
  for (let i = text.length - 1; i >= start; i -= step) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
