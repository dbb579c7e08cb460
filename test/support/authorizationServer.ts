/** The endpoints of an authorization server that nobody asks: schemes name them. */
export const authorizationServer = {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token"
}
