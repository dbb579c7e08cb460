/** The verifiers of `--fleet`. */
import { NodeRedis } from "@effect/platform-node"
import { Layer, Redacted } from "effect"
import { Persistence } from "effect/persistence"
import { JwtVerifier, TokenIntrospection } from "../../src/index.ts"
import { ReplayStore } from "../../src/stores/ReplayStore.ts"
import * as Revocations from "../../src/verifier/Revocations.ts"
import * as SharedIntrospection from "../../src/verifier/SharedIntrospection.ts"
import { type Fleet, settings } from "./child.ts"

const introspection = {
  issuer: settings.issuer,
  audience: settings.audience,
  clientId: "bench",
  clientSecret: Redacted.make("secret"),
  accessTokenClaims: { token_type: "Bearer" }
}

/** A busy machine must not count as an outage of Redis. */
const timeout = { timeout: "5 seconds" } as const

/** Verifiers of a fleet. Everything that is shared is in Redis. */
export const verifierOf = ({ kind, redisPort }: Fleet, policy: Parameters<typeof JwtVerifier.layer>[0]) => {
  const Client = NodeRedis.layer({ disableOfflineQueue: true, socket: { host: "127.0.0.1", port: redisPort } })
  switch (kind) {
    case "jwt":
      return JwtVerifier.layer(policy)
    case "jwt-copy":
      return JwtVerifier.layer(policy).pipe(
        Revocations.enforce,
        Layer.provide(Revocations.layerRedis(timeout)),
        Layer.provide(Client)
      )
    case "jwt-lookup":
      return JwtVerifier.layer(policy).pipe(
        Revocations.enforce,
        Layer.provide(Revocations.layerRedis({ ...timeout, localCopy: false })),
        Layer.provide(Client)
      )
    case "introspection-local":
      return TokenIntrospection.layer(introspection)
    case "introspection-uncached":
      return TokenIntrospection.layer({ ...introspection, cache: false })
    case "introspection-shared":
      return SharedIntrospection.layer({ ...introspection, ...timeout }).pipe(
        Layer.provide(Layer.merge(Persistence.layerBackingRedis, ReplayStore.layerRedis(timeout))),
        Layer.provide(Client)
      )
  }
}
