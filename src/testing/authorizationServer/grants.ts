/** What an issuer remembers about its users: their sessions, codes, grants and devices. */

/** Session of a user in a browser. */
export interface Session {
  readonly subject: string
  readonly sessionId: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly acr: string | undefined
  readonly amr: ReadonlyArray<string> | undefined
  /** Milliseconds since 1970. */
  readonly authenticatedAt: number
  ended: boolean
}

/** What a user granted to a client. All tokens of a grant end together. */
export interface Grant {
  readonly clientId: string
  readonly session: Session
  readonly scopes: ReadonlyArray<string>
  readonly resource: string | undefined
  /** Thumbprint of the DPoP key to which the refresh tokens of a public client are bound. */
  thumbprint: string | undefined
  /** Milliseconds since 1970, after which no refresh token works. */
  refreshEnd: number
  readonly accessTokens: Array<string>
  revoked: boolean
}

export interface Code {
  readonly grant: Grant
  readonly redirectUri: string | undefined
  readonly challenge: string | undefined
  readonly nonce: string | undefined
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  used: boolean
}

export interface RefreshToken {
  readonly grant: Grant
  /** Time of the first use in milliseconds since 1970, if the token was used and is replaced. */
  usedAt: number | undefined
}

export interface Device {
  readonly clientId: string
  readonly scopes: ReadonlyArray<string>
  readonly userCode: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  /** Milliseconds between two polls. */
  interval: number
  polledAt: number | undefined
  decision: "pending" | "denied" | Session
}

export interface Memory {
  /** The user who is signed in. `undefined` means that no user is. */
  browser: Session | undefined
  readonly sessions: Array<Session>
  readonly codes: Map<string, Code>
  readonly grants: Array<Grant>
  readonly refreshTokens: Map<string, RefreshToken>
  readonly devices: Map<string, Device>
  readonly usedAssertions: Set<string>
  readonly usedProofs: Set<string>
}

export const emptyMemory = (): Memory => ({
  browser: undefined,
  sessions: [],
  codes: new Map(),
  grants: [],
  refreshTokens: new Map(),
  devices: new Map(),
  usedAssertions: new Set(),
  usedProofs: new Set()
})

/** Identifiers of the clients that have tokens of a session. */
export const clientsOf = ({ grants }: Memory, sessionId: unknown): ReadonlyArray<string> =>
  Array.from(new Set(grants.flatMap(({ clientId, session }) => (session.sessionId === sessionId ? [clientId] : []))))
