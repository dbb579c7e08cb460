/** Defines scopes with placeholders, such as `read:{org}`, which each request fills with values. */
import { own } from "../../core/lib/ownProperties.ts"

const placeholder = /^\{([A-Za-z0-9_]+)\}$/

// A scope-token (RFC 6749 §3.3) with three characters left out. A colon would start another segment. An asterisk could
// make a wildcard scope, and braces could make a template.
const segmentValue = /^[\x21\x23-\x29\x2B-\x39\x3B-\x5B\x5D-\x7A\x7C\x7E]{1,256}$/

const isValue = (value: unknown): value is string => typeof value === "string" && segmentValue.test(value)

/** A scope in which at least one segment is a placeholder. Colons separate segments. */
export class ScopeTemplate {
  readonly scope: string
  readonly #segments: ReadonlyArray<string>
  /** The names of the placeholders. */
  readonly names: ReadonlyArray<string>

  private constructor(scope: string) {
    this.scope = scope
    this.#segments = scope.split(":")
    this.names = this.#segments.flatMap((segment) => nameOf(segment) ?? [])
  }

  /** Returns `undefined` if no segment of the scope is a placeholder. */
  static of(scope: string): ScopeTemplate | undefined {
    const template = new ScopeTemplate(scope)
    return template.names.length === 0 ? undefined : template
  }

  /** Returns the scope for the values. Returns `undefined` if a value is missing or is not one segment of a scope. */
  fill(values: unknown): string | undefined {
    const filled: Array<string> = []
    for (const segment of this.#segments) {
      const name = nameOf(segment)
      const value = name === undefined ? segment : own(values, name)
      if (name !== undefined && !isValue(value)) return
      filled.push(value as string)
    }
    return filled.join(":")
  }

  /** Returns the values with which `fill` returns the scope. Returns `undefined` if there are none. */
  valuesOf(scope: string): Readonly<Record<string, string>> | undefined {
    const segments = scope.split(":")
    if (segments.length !== this.#segments.length) return
    const values = Object.fromEntries(
      this.#segments.flatMap((segment, i) => {
        const name = nameOf(segment)
        return name === undefined ? [] : [[name, segments[i] ?? ""]]
      })
    )
    return this.fill(values) === scope ? values : undefined
  }

  /** Returns `true` if some values make one scope of both templates, or the given scope. */
  canBecome(other: string): boolean {
    const segments = other.split(":")
    return (
      segments.length === this.#segments.length &&
      this.#segments.every((segment, i) => {
        const [left, right] = [nameOf(segment), segments[i] ?? ""]
        if (nameOf(right) !== undefined) return left !== undefined || isValue(segment)
        return left === undefined ? segment === right : isValue(right)
      })
    )
  }
}

const nameOf = (segment: string): string | undefined => placeholder.exec(segment)?.[1]
