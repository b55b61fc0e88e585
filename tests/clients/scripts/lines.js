// Answer each line of standard input, a JSON object, with one of standard output.
"use strict";

const readline = require("node:readline");

async function answerLines(perform) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const answer = await perform(JSON.parse(line));
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
}

module.exports = { answerLines };
