// Run each function that a line of standard input holds, and print what it answers.
//
// What browsers run is run here in the same way: the clients are global as `millpond`, and
// what a function keeps for the next one it keeps on `globalThis`.
import readline from "node:readline";

globalThis.millpond = await import(process.env.MODULE);

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { source, argument } = JSON.parse(line);
  let answer;
  try {
    const run = (0, eval)(`(${source})`);
    answer = { value: (await run(argument)) ?? null };
  } catch (error) {
    answer = { failed: String(error?.stack ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
