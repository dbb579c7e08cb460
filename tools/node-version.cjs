// Ends a package script with one sentence if its Node is too old. Old versions must be able to read this file:
// CommonJS, and syntax of 2015. The package scripts preload it, because npm skips `prestart` and the like if
// `ignore-scripts` is set, and with `ignore-scripts` the development dependency `node` has no binary.
"use strict"

const fs = require("fs")
const path = require("path")

const needed = fs.readFileSync(path.join(__dirname, "..", ".nvmrc"), "utf8").trim()

if (parseInt(process.versions.node, 10) < parseInt(needed, 10)) {
  process.stderr.write(
    "This repository needs Node " +
      needed +
      " or later, but this is Node " +
      process.versions.node +
      ': run "npm ci --ignore-scripts=false", which installs Node ' +
      needed +
      " into node_modules, or install Node " +
      needed +
      " yourself.\n"
  )
  process.exit(1)
}
