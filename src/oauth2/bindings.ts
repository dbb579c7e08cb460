/** Reads the options of a scheme that accept tokens which are bound to a key or a certificate of the client. */
import { ownProperties } from "../core/lib/ownProperties.ts"
import type * as schemes from "../guard/scheme/scheme.ts"
import { supportOf } from "../verifier/dpop/registered.ts"
import { checkerOf } from "../verifier/mutualTls/registered.ts"

/** Adds the support for bound tokens to the description, because a scheme of type oauth2 has no field for it. */
export const descriptionOf = (
  own: string | undefined,
  { dpop, mutualTls }: Bindings
): { readonly description?: string } => {
  const means = [
    ...(dpop === undefined ? [] : ["a key of the client (DPoP, RFC 9449)"]),
    ...(mutualTls === undefined ? [] : ["a certificate of the client (mutual TLS, RFC 8705)"])
  ]
  if (means.length === 0) return {}
  const isRequired = dpop?.isRequired === true || mutualTls?.isRequired === true
  const sentence = `Tokens ${isRequired ? "must" : "may"} be bound to ${means.join(" or ")}.`
  return { description: own === undefined ? sentence : `${own}\n\n${sentence}` }
}

interface Bindings {
  readonly dpop: schemes.SchemeDpop | undefined
  readonly mutualTls: schemes.SchemeMutualTls | undefined
}

/** Returns the support for bound tokens. */
export const bindingsOf = (where: string, options: object): Bindings => {
  const { dpop, mutualTls, senderConstrained } = ownProperties(options) as {
    readonly dpop?: unknown
    readonly mutualTls?: unknown
    readonly senderConstrained?: unknown
  }
  if (senderConstrained !== undefined && senderConstrained !== "accepted" && senderConstrained !== "required") {
    throw new TypeError(`${where}: senderConstrained must be "accepted" or "required".`)
  }
  if (senderConstrained !== undefined && dpop === undefined && mutualTls === undefined) {
    throw new TypeError(
      `${where}: senderConstrained needs support for bound tokens. Set the option dpop: Dpop.make({ … }) or mutualTls: MutualTls.make({ … }).`
    )
  }
  const support = supportOf(dpop)
  if (dpop !== undefined && support === undefined)
    throw new TypeError(`${where}: dpop must be the result of Dpop.make.`)
  const checker = checkerOf(mutualTls)
  if (mutualTls !== undefined && checker === undefined) {
    throw new TypeError(`${where}: mutualTls must be the result of MutualTls.make.`)
  }
  const isRequired = senderConstrained === "required"
  return {
    dpop: support && { ...support, isRequired: isRequired && checker === undefined },
    mutualTls: checker && { checker, isRequired }
  }
}
