// Ends a package script with one sentence if its Node is too old. Old versions must be able to read this file:
// CommonJS, and syntax of 2015. The package scripts preload it, because npm skips `prestart` and the like if
// `ignore-scripts` is set, and with `ignore-scripts` the development dependency `node` has no binary.
"use strict"

const fs = require("fs")
const path = require("path")

const read = (name) => fs.readFileSync(path.join(__dirname, "..", name), "utf8").trim()

// The scripts run on each version that the package supports, such as ">=22.19.0". CI runs the tests on several.
const needed = /(\d+)\.(\d+)/.exec(JSON.parse(read("package.json")).engines.node)
const found = /(\d+)\.(\d+)/.exec(process.versions.node)
const difference = found[1] - needed[1] || found[2] - needed[2]

if (difference < 0) {
  const installed = read(".nvmrc")
  process.stderr.write(
    "This repository needs Node " +
      needed[0] +
      " or later, but this is Node " +
      process.versions.node +
      ': run "npm ci --ignore-scripts=false", which installs Node ' +
      installed +
      " into node_modules, or install Node " +
      installed +
      " yourself.\n"
  )
  process.exit(1)
}
