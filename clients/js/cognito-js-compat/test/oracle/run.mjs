/**
 * Run scenarios against one of the two libraries, or (`both`) those that go from one to the other.
 *
 * On standard input, a line of JSON: `{library, packages, server, scenarios?}`. On standard
 * output, a line for each scenario: `{scenario, entries}`, and `broken` where it ended early.
 */
import readline from 'node:readline'
import { createRequire } from 'node:module'

import { loadOld, loadOurs } from './libraries.mjs'
import { scenarios } from './scenarios/index.mjs'
import * as takeOver from './scenarios/take-over.mjs'
import { World } from './world.mjs'

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { library, packages, server, scenarios: chosen } = JSON.parse(line)
  const sdk = createRequire(`${packages}/`)('aws-sdk')
  const libraries = {}
  if (library !== 'ours') libraries.old = loadOld(packages)
  if (library !== 'old') libraries.ours = await loadOurs()
  for (const [name, scenario] of Object.entries(library === 'both' ? takeOver : scenarios)) {
    if (chosen && !chosen.includes(name)) continue
    const world = new World(libraries, sdk, server)
    let answer
    try {
      await scenario(world)
      answer = { scenario: name, entries: world.entries }
    } catch (error) {
      answer = { scenario: name, entries: world.entries, broken: error.stack }
    }
    world.close()
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
  process.exit(0)
}
