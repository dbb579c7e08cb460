// The projects of the root's configuration, with a source file that is changed while vitest loads it. No file on disk
// changes.
import { join } from "node:path"
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config"
import type { TestSequencer, TestSpecification, VitestPluginContext } from "vitest/node"
import base from "../../vitest.config.ts"
import { readTask } from "./task.ts"

const task = readTask()

const changed = (id: string): string | undefined => task.sources[id.split("?")[0]!]

const plugin = {
  name: "mutants",
  enforce: "pre" as const,
  transform: (_: string, id: string) => changed(id),
  // vitest caches modules on disk by their unchanged text.
  configureVitest: ({ defineCacheKeyGenerator }: VitestPluginContext) =>
    defineCacheKeyGenerator(({ id }) => (changed(id) === undefined ? undefined : false))
}

/** The test files that are likely to fail come first, because the first failure ends the run. */
class Sequencer implements TestSequencer {
  shard(files: Array<TestSpecification>): Array<TestSpecification> {
    return files
  }

  sort(files: Array<TestSpecification>): Array<TestSpecification> {
    const position = ({ moduleId }: TestSpecification) => task.tests.indexOf(moduleId)
    return files.toSorted((a, b) => position(a) - position(b))
  }
}

const isRecorded = task.hits !== undefined
// A thread ends with its process, even if a mutant loops forever.
const settings = {
  pool: "threads" as const,
  isolate: isRecorded,
  // A slow machine must not kill a mutant.
  testTimeout: 30_000,
  fsModuleCachePath: join(task.cache, "modules")
}
// These tests start other programs, which load the sources as they are on disk.
const exclude = ["**/node_modules/**", "test/{api,browser,docs,tools,types}/**"]

const projects = (base.test?.projects ?? []) as ReadonlyArray<TestProjectInlineConfiguration>

const nameOf = ({ test }: TestProjectInlineConfiguration): string =>
  typeof test?.name === "object" ? test.name.label : (test?.name ?? "")

export default defineConfig({
  root: join(import.meta.dirname, "..", ".."),
  cacheDir: task.cache,
  test: {
    ...settings,
    maxWorkers: task.workers,
    sequence: { sequencer: Sequencer },
    projects: projects.map((project) => ({
      ...project,
      plugins: [...(project.plugins ?? []), plugin],
      test: {
        ...project.test,
        ...settings,
        exclude,
        env: { EFFECT_OAUTH2_PROJECT: nameOf(project) },
        setupFiles: [
          ...[project.test?.setupFiles ?? []].flat(),
          ...(isRecorded ? [join(import.meta.dirname, "hits.ts")] : [])
        ]
      }
    }))
  }
})
