/** Endpoints for the options of schemes. No test sends a request to them. */
export const authorizationServer = {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token"
}
