/**
 * A strict parser for one challenge in a `WWW-Authenticate` header. It follows the grammar for senders of RFC 9110
 * §11.2 and §11.6.1:
 *
 * challenge     = auth-scheme [ 1*SP ( token68 / #auth-param ) ]      -- token68 is not used by Bearer and is refused
 * auth-param    = token "=" ( token / quoted-string )                  -- a sender writes no white space around "="
 * quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE
 *
 * It throws for everything else, such as an empty list element, a repeated name, or a second challenge.
 */
export interface ParsedChallenge {
  readonly scheme: string
  /** Names in lower case, because they are case-insensitive, and unescaped values, in the order of the header. */
  readonly params: ReadonlyArray<readonly [name: string, value: string]>
}

export const parseChallenge = (field: string): ParsedChallenge => {
  let position = 0

  const fail = (expected: string): never => {
    throw new SyntaxError(`Expected ${expected} at ${position} of ${JSON.stringify(field)}`)
  }
  const peek = (): string => field.charAt(position)
  const take = (character: string): void => {
    if (peek() !== character) fail(JSON.stringify(character))
    position++
  }
  const token = (): string => {
    const start = position
    while (position < field.length && isTchar(field.charCodeAt(position))) position++
    return position === start ? fail("a token") : field.slice(start, position)
  }
  const quotedString = (): string => {
    let value = ""
    take('"')
    while (peek() !== '"') {
      const escaped = peek() === "\\"
      if (escaped) position++
      if (position >= field.length || !(escaped ? isQuotable : isQdtext)(field.charCodeAt(position))) {
        fail("a character of a quoted-string")
      }
      value += peek()
      position++
    }
    take('"')
    return value
  }
  const optionalWhiteSpace = (): void => {
    while (peek() === " " || peek() === "\t") position++
  }

  const scheme = token()
  const params: Array<readonly [string, string]> = []
  if (position === field.length) return { scheme, params }
  take(" ")
  while (peek() === " ") position++
  for (;;) {
    const name = token().toLowerCase()
    take("=")
    const value = peek() === '"' ? quotedString() : token()
    if (params.some(([other]) => other === name)) fail(`no second ${JSON.stringify(name)}`)
    params.push([name, value])
    if (position === field.length) return { scheme, params }
    optionalWhiteSpace()
    take(",")
    optionalWhiteSpace()
  }
}

// RFC 9110 §5.6.2
const tchars = new Set(
  Array.from("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", (c) => c.charCodeAt(0))
)
const isTchar = (code: number): boolean => tchars.has(code)

// RFC 9110 §5.6.4: quoted-pair = "\" ( HTAB / SP / VCHAR / obs-text ). qdtext allows these characters except DQUOTE and
// backslash.
const isQuotable = (code: number): boolean =>
  code === 0x09 || (code >= 0x20 && code <= 0x7e) || (code >= 0x80 && code <= 0xff)
const isQdtext = (code: number): boolean => isQuotable(code) && code !== 0x22 && code !== 0x5c
