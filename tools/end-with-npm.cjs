// Ends the program of a package script when the shell that npm started it in ends. A shell does not pass on the signal
// that ends npm, so without this file the program would run on and keep its port. `exec` in the script would do the
// same, but the shell of Windows does not have it.
"use strict"

const shell = process.ppid

/** Returns true while the shell runs. A process without a parent gets another one, but not on Windows. */
const isRunning = () => {
  try {
    return process.ppid === shell && process.kill(shell, 0)
  } catch {
    return false
  }
}

// Unreferenced, so that the timer does not keep a program alive that has nothing left to do.
setInterval(() => {
  if (!isRunning()) process.kill(process.pid, "SIGTERM")
}, 500).unref()
