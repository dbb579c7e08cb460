/** Prints a program, so that you can read and rebuild it. */
import type { Api, Middleware, Node, Program, Requirement } from "./program.ts"
import { inside } from "./program.ts"

const requirementText = ({ name, optional, parts }: Requirement) => {
  const texts = parts.map(({ scheme, scope }) => `${scheme}.${optional ? "optional" : "require"}(${scope})`)
  return `${name}=${texts.length === 1 ? texts[0] : `either(${texts.join(", ")})`}`
}

const middlewareText = (middleware: Middleware): string => {
  if (middleware.is === "requirement") return requirementText(middleware)
  if (middleware.is === "plain") return middleware.name
  return `${middlewareText(middleware.inner)}.combine(${middlewareText(middleware.outer)})`
}

const apiText = ({ asks, groups, id, isSecured, levels }: Api): string => {
  const level = (list: Api["levels"][number]) =>
    `[${list.map((one) => (one.is === "key" ? one.name : requirementText(one))).join(", ")}]`
  const [endpoint, group, api] = levels.map(level)
  const names = groups.map((name) => (name === "opened" ? `opened (${asks})` : name))
  return `${id}: groups ${names.join(", ")}; main has endpoint ${endpoint}, group ${group}, api ${api}, innermost first${isSecured ? "; OAuth2.secured" : ""}`
}

const indent = (text: string): string => text.replaceAll(/^/gm, "  ")

/** Writes a call on one line if the line is short enough. */
const call = (name: string, args: ReadonlyArray<string>): string => {
  const line = `${name}(${args.join(", ")})`
  if (line.length <= 100 && !line.includes("\n")) return line
  return `${name}(\n${args.map(indent).join(",\n")}\n)`
}

export const textOf = (program: Program): string => {
  const counts = new Map<Node, number>()
  const apis = new Set<Api>()
  const count = (node: Node): void => {
    const before = counts.get(node) ?? 0
    counts.set(node, before + 1)
    if (node.is === "api") apis.add(node.api)
    if (before === 0) inside(node).forEach(count)
  }
  for (const { node } of program.builds) count(node)

  const names = new Map<Node, string>()
  const definitions: Array<string> = []
  const text = (node: Node): string => {
    if (counts.get(node) === 1 || inside(node).length === 0) return ownText(node)
    const known = names.get(node)
    if (known !== undefined) return known
    const own = ownText(node)
    const name = `shared${names.size}`
    names.set(node, name)
    definitions.push(`const ${name} = ${own}`)
    return name
  }
  const shared = (node: Node, own: string) => ((counts.get(node) ?? 0) > 1 ? `${own}#` : own)
  const ownText = (node: Node): string => {
    switch (node.is) {
      case "route":
        return shared(node, `route(${node.path})`)
      case "api":
        return shared(node, `HttpApiBuilder.layer(${node.api.id})`)
      case "group":
        return shared(node, `group(${node.api.id}.${node.name})`)
      case "middleware":
        return `(${middlewareText(node.of)}).layer`
      case "authentication":
        return shared(node, `authentication(${node.by.name})`)
      case "services":
        return `services(${node.count})`
      case "database":
        return shared(node, "database")
      case "prefix":
        return `prefix(${node.app})`
      case "provide": {
        const self = text(node.self)
        const provided = call(`.${node.merge ? "provideMerge" : "provide"}`, node.that.map(text))
        const line = `${self}${provided}`
        return line.length <= 100 && !line.includes("\n") ? line : `${self}\n${indent(provided)}`
      }
      case "mergeAll":
        return call("mergeAll", node.of.map(text))
      case "server":
        return call(`server${node.app}`, [text(node.of)])
      case "flag":
        return call(node.how, [node.isOn ? "on" : "off", text(node.of)])
      case "fresh":
      case "secured":
      case "prebuilt":
        return call(node.is, [text(node.of)])
    }
  }
  const builds = program.builds.map(({ node }) => call("build", [text(node)]))
  return [
    `seed ${program.seed}: ${program.topology}; "#" marks a layer that several places share`,
    ...[...Array.from(apis, apiText), ...definitions, ...builds].map(indent)
  ].join("\n")
}
