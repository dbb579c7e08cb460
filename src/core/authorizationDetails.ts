/** Reads and decodes `authorization_details` (RFC 9396). */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { own, ownProperties } from "./lib/ownProperties.ts"

/** Options for the authorization details of one type. */
export interface Options {
  /**
   * The identifiers of this API. An object with the member `locations` applies only if it names one of them (RFC 9396
   * §2.2). Default: none, so that no object with `locations` applies.
   */
  readonly locations?: ReadonlyArray<string>
}

interface Detail extends Readonly<Record<string, unknown>> {
  readonly type: string
}

const isDetail = (value: unknown): value is Detail => !Array.isArray(value) && typeof own(value, "type") === "string"

const none: ReadonlyArray<Detail> = Object.freeze([])

/** Returns the objects of a claim that have a type. A claim that is not an array grants nothing. */
export const fromClaim = (claim: unknown): ReadonlyArray<Detail> =>
  Array.isArray(claim) ? claim.filter(isDetail) : none

/** Returns `true` if an object is for this API. */
const appliesHere = (detail: Detail, locations: ReadonlyArray<string>): boolean => {
  if (!Object.hasOwn(detail, "locations")) return true
  const named: unknown = detail["locations"]
  return Array.isArray(named) && named.some((location) => locations.includes(location))
}

/** Returns a function that decodes the objects of one type that apply to this API. */
export const ofType = <A>(
  type: string,
  schema: Schema.Decoder<A>,
  options: Options = {}
): ((details: ReadonlyArray<Detail>) => Effect.Effect<ReadonlyArray<A>>) => {
  const { locations = [] } = ownProperties(options)
  // A member that the schema does not know may restrict the grant, so the object must not grant more without it.
  const decode = Schema.decodeUnknownEffect(schema, { onExcessProperty: "error" })
  return (details) =>
    Effect.map(
      Effect.forEach(details, (detail) => {
        if (detail.type !== type || !appliesHere(detail, locations)) return Exit.succeed([])
        const { locations: _, type: __, ...members } = detail
        // An object that does not decode grants nothing. The other objects stay what they are.
        return Effect.orElseSucceed(
          Effect.map(decode(members), (decoded) => [decoded]),
          (): ReadonlyArray<A> => []
        )
      }),
      (lists) => lists.flat() as ReadonlyArray<A>
    )
}
