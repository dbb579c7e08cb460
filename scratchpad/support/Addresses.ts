/** Addresses of the examples. The variables `PORT` and `AUTHORIZATION_SERVER_PORT` choose other ports. */

export const host = "127.0.0.1"

export const portOf = (variable: string, fallback: number): number => Number(process.env[variable] ?? fallback)

export const port = portOf("PORT", 3000)
export const authorizationServerPort = portOf("AUTHORIZATION_SERVER_PORT", 3001)

export const api = `http://${host}:${port}`
export const issuer = `http://${host}:${authorizationServerPort}`

/** Identifier of the API: the `aud` claim of its tokens. */
export const audience = "https://api.example.com"
