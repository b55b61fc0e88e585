// Two clients in one process of Node.js: `@millpond/sync` and amazon-cognito-js on aws-sdk 2.
//
//     node --expose-gc clients.mjs '{"endpoint", "pool", "region", "user", "records", "rounds",
//       "sync", "packages", "first"}'
//
// Each has a dataset of its own with the same records, of one user, and takes its turn: a new
// device that has nothing yet synchronizes (all records come), and one that has all of them
// after it wrote one record. Prints milliseconds of each round and bytes of heap, as JSON.
import { createRequire } from "node:module";
import { performance } from "node:perf_hooks";

const asked = JSON.parse(process.argv[2]);
const { endpoint, pool, region, user } = asked;
const WARM_UP = 5;
const MORE = 8; // devices, for one of them is little beside what comes and goes

// Each: load() once, then open(dataset) a device that has nothing.
const clients = {
  async ours() {
    const { fixed, memory, openSync } = await import(asked.sync);
    return async (dataset) => {
      const credentials = fixed(user);
      const sync = await openSync({ endpoint, pool, region, storage: memory(), credentials });
      const opened = sync.dataset(dataset);
      return {
        put: (key, value) => opened.set(key, value),
        synchronize: () => opened.sync(),
        count: async () => (await opened.items()).size,
        close: () => sync.close(),
      };
    };
  },

  async theirs() {
    process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";
    const require = createRequire(asked.packages);
    const AWS = require("aws-sdk");
    require("amazon-cognito-js"); // adds itself to the SDK
    return async (dataset) => {
      AWS.config.update({ region, cognitosync: { endpoint } });
      AWS.config.credentials = Object.assign(
        new AWS.Credentials(user.accessKeyId, user.secretAccessKey, user.sessionToken),
        { identityId: user.identityId, params: { IdentityPoolId: pool } },
      );
      const manager = new AWS.CognitoSyncManager({
        DataStore: AWS.CognitoSyncManager.StoreInMemory,
      });
      const opened = await promised((back) => manager.openOrCreateDataset(dataset, back));
      return {
        put: (key, value) => promised((back) => opened.put(key, value, back)),
        synchronize: () =>
          new Promise((resolve, reject) =>
            opened.synchronize({
              onSuccess: resolve,
              onFailure: reject,
              onConflict: () => reject(new Error("There was a conflict.")),
            }),
          ),
        count: async () => (await promised((back) => opened.getAllRecords(back))).length,
        close() {},
      };
    };
  },
};

const promised = (call) =>
  new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))));

// In milliseconds: until it was done, and of that what the processor worked here.
async function timed(act) {
  const [start, worked] = [performance.now(), process.cpuUsage()];
  await act();
  const { user, system } = process.cpuUsage(worked);
  return [performance.now() - start, (user + system) / 1000];
}

function heap() {
  for (let turn = 0; turn < 4; turn++) globalThis.gc();
  return process.memoryUsage().heapUsed;
}

async function filled(open, name) {
  const device = await open(name);
  const took = await timed(() => device.synchronize());
  const count = await device.count();
  if (count !== asked.records) throw new Error(`${name} has ${count} records.`);
  return [device, took];
}

const measured = {};
const kept = {};
const names = asked.first === "ours" ? ["ours", "theirs"] : ["theirs", "ours"];
for (const name of names) {
  const before = heap();
  const open = await clients[name]();
  const [device] = await filled(open, name);
  measured[name] = { heap: heap() - before, first: [], changed: [] };
  kept[name] = { open, device };
}
// One after the other, for what the large one leaves behind is cleared away during the next.
for (let round = -WARM_UP; round < asked.rounds; round++) {
  for (const name of names) {
    const [another, took] = await filled(kept[name].open, name);
    another.close();
    if (round >= 0) measured[name].first.push(took);
  }
}
for (let round = -WARM_UP; round < asked.rounds; round++) {
  for (const name of names) {
    const { device } = kept[name];
    await device.put(`key-${round + WARM_UP}`, `changed in round ${round}`);
    const took = await timed(() => device.synchronize());
    if (round >= 0) measured[name].changed.push(took);
  }
}
const more = []; // until the end, or what one leaves is cleared away while the other is measured
for (const name of names) {
  const before = heap();
  for (let number = 0; number < MORE; number++) more.push(await filled(kept[name].open, name));
  measured[name].more = (heap() - before) / MORE;
}
console.log(JSON.stringify(measured));
process.exit(0);
