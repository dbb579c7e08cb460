// Lists every message of the library with what to do, and compares the list with docs/reference/messages.md.
import { assert, describe, it } from "@effect/vitest"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { causes } from "../support/troubleshooting.ts"
import { fixedMessages, type Kind, libraryMessages, messagesOf } from "./libraryMessages.ts"

const root = join(import.meta.dirname, "..", "..")
const page = join(root, "docs/reference/messages.md")
const messages = libraryMessages()

const code = (text: string): string => {
  const line = text.replace(/\s+/g, " ").replaceAll("|", "\\|")
  return line.includes("`") ? `\`\` ${line} \`\`` : `\`${line}\``
}

const escaped = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "\\<")

/** Messages of a kind, each once, in alphabetical order of their words. */
const ofKind = (kind: Kind) => {
  const words = (text: string) => text.replace(/^[^A-Za-z]+/, "").toLowerCase()
  const unique = new Map(messages.filter((one) => one.kind === kind).map((one) => [one.text, one]))
  return [...unique.values()].toSorted((left, right) => (words(left.text) < words(right.text) ? -1 : 1))
}

const withFix = (kind: Kind): ReadonlyArray<string> => [
  "| message | what to do |",
  "| --- | --- |",
  ...ofKind(kind).map(({ fix, text }) => {
    // A fix that is a part of the message is not repeated.
    const cause = text.endsWith(fix) ? text.slice(0, -fix.length).trim() : text
    return cause === "" ? `| ${code(text)} | as the message says |` : `| ${code(cause)} | ${escaped(fix)} |`
  }),
  ""
]

const list = (kind: Kind): ReadonlyArray<string> => [...ofKind(kind).map(({ text }) => `- ${code(text)}`), ""]

const pageText = (): string =>
  [
    "# Messages",
    "",
    "This page lists every message of the library. Search it for the words of a message. `…` stands for a value.",
    "",
    "[Troubleshooting](../troubleshooting.md) shows the messages about refused tokens in full, with their fixes. [What the compiler says](../guides/compile-time-checks.md#what-the-compiler-says) has the messages of the compiler.",
    "",
    "`UPDATE_DOCS=1 npm run test:unit -- test/docs/messages.test.ts` writes this page from the sources.",
    "",
    "## Errors and log messages",
    "",
    "The first column has what happened, and the second column what to do. The whole message has both.",
    "",
    ...withFix("whole"),
    "## Reasons of a refusal",
    "",
    "These are messages of `SecurityError`. Clients do not get them. They are in spans, and in the log at the level `Debug`.",
    "",
    ...withFix("refusal"),
    "## Invalid options",
    "",
    "A layer with an invalid option fails at start-up with `ConfigurationError`. Its message begins with the name of the option, and says which values are valid.",
    "",
    ...list("option"),
    "## Parts of messages",
    "",
    "These texts complete the messages above.",
    "",
    ...list("part")
  ]
    .join("\n")
    .replace(/\n+$/, "\n")

/** Messages about credentials that are no tokens, and about tokens that are accepted. */
const aboutOthers =
  /^A request was refused, because (?:a page|its …)|^Tokens of … name|^A token of … has an? |several session cookies|X-CSRF/

describe("every message", () => {
  it("says what to do", () => {
    assert.isAbove(messages.length, 300)
    const without = messages.filter(({ fix, kind }) => fix === "" && (kind === "whole" || kind === "refusal"))
    assert.deepStrictEqual(
      without.map(({ file, text }) => `src/${file}: ${text}`),
      [],
      "End the message with what to do, or add its fix to test/docs/libraryMessages.ts."
    )
  })

  it("is in docs/reference/messages.md", () => {
    const text = pageText()
    if (process.env["UPDATE_DOCS"] !== undefined) writeFileSync(page, text)
    assert.strictEqual(readFileSync(page, "utf8"), text)
  })

  it("about a refused token is in docs/troubleshooting.md", () => {
    const text = readFileSync(join(root, "docs/troubleshooting.md"), "utf8")
    // Each advice has constant words that no other advice has.
    const wordsOf = (message: string) =>
      message
        .split("…")
        .map((part) => part.trim())
        .toSorted((left, right) => right.length - left.length)[0] ?? ""
    const advice = messages.filter(
      ({ file, kind }) =>
        kind !== "option" &&
        /^verifier\/(?:jwt\/formAdvice|claims\/claimAdvice|claims\/claims|request\/malformedCredentials)\.ts$/.test(
          file
        )
    )
    const absent = advice
      .filter((one) => !text.includes(wordsOf(one.text)) && !aboutOthers.test(one.text))
      .map(({ text }) => text)
    assert.isAbove(advice.length, 35)
    assert.deepStrictEqual(absent, [])
    assert.isAtLeast(causes.length, 40)
  })
})

describe("the test of messages", () => {
  it("finds a message without a fix", () => {
    const [message] = messagesOf("core/Example.ts", 'throw new TypeError("The value is not a number.")')
    assert.deepStrictEqual([message?.kind, message?.fix], ["whole", ""])
    const [other] = messagesOf("core/Example.ts", 'throw new TypeError("The value is bad. Pass a number.")')
    assert.strictEqual(other?.fix, "Pass a number.")
  })

  it("reads templates, and ignores types and short texts", () => {
    const source = 'type A = "a type is no message"\nconst a = "a short text"\nconst b = `must be ${a} or a text`'
    assert.deepStrictEqual(
      messagesOf("core/Example.ts", source).map(({ kind, text }) => [kind, text]),
      [["option", "must be … or a text"]]
    )
  })

  it("has no fix for a message that does not exist", () => {
    const unused = fixedMessages.filter((start) => !messages.some(({ text }) => text.startsWith(start)))
    assert.deepStrictEqual(unused, [])
  })
})
