// One device of an app written for Cognito Sync: amazon-cognito-js on aws-sdk 2.
//
// The same file runs in Node and in a browser. It does what it is told, one command at
// a time: `{"do": name, ...}` in, a plain object out. It decides nothing and checks
// nothing; the tests do.
"use strict";

// amazon-cognito-js never calls back when it runs into one of its own faults.
const DEADLINE_MS = 20000;

/**
 * @param AWS aws-sdk 2, with amazon-cognito-js loaded
 * @param DataStore where the sync manager keeps its records; its default if undefined
 * @returns a function that performs a command
 */
function makeDevice(AWS, DataStore) {
  let manager;
  let sent = []; // operations, each as often as a request of it left
  AWS.events.on("send", (response) => sent.push(response.request.operation));

  // Turn a function whose last argument is callback(err, data) into a promise.
  const promised = (call) =>
    new Promise((resolve, reject) =>
      call((err, data) => (err ? reject(err) : resolve(data))),
    );

  const open = (name) =>
    promised((callback) => manager.openOrCreateDataset(name, callback));

  const identity = () => ({ identityId: AWS.config.credentials.identityId });

  const commands = {
    async start({ endpoint, region, ...params }) {
      const service = { endpoint };
      AWS.config.update({ region, cognitosync: service });
      const config = { region, endpoint };
      AWS.config.credentials = new AWS.CognitoIdentityCredentials(params, config);
      await AWS.config.credentials.getPromise();
      manager = new AWS.CognitoSyncManager({ DataStore });
      return identity();
    },

    // The app is started anew with another endpoint; what is stored stays.
    async move({ endpoint, region }) {
      const { IdentityPoolId } = AWS.config.credentials.params;
      const IdentityId = AWS.config.credentials.identityId;
      AWS.config.update({ region, cognitosync: { endpoint } });
      AWS.config.credentials = new AWS.CognitoIdentityCredentials(
        { IdentityPoolId, IdentityId },
        { region, endpoint },
      );
      await AWS.config.credentials.getPromise();
      const { local } = manager;
      manager = new AWS.CognitoSyncManager({ DataStore });
      manager.local = local;
      return identity();
    },

    // As apps do it: the same provider, with logins from now on.
    async login({ logins }) {
      AWS.config.credentials.params.Logins = logins;
      AWS.config.credentials.expired = true;
      await AWS.config.credentials.getPromise();
      return identity();
    },

    async put({ dataset, values }) {
      const opened = await open(dataset);
      // Not with putAll, which runs out of stack on a full dataset.
      for (const [key, value] of Object.entries(values)) {
        await promised((callback) => opened.put(key, value, callback));
      }
    },

    async remove({ dataset, key }) {
      const opened = await open(dataset);
      await promised((callback) => opened.remove(key, callback));
    },

    async values({ dataset }) {
      const opened = await open(dataset);
      return promised((callback) => opened.getAll(callback));
    },

    // There is no public method for it; apps reach for the manager's local storage.
    async forget({ dataset }) {
      await open(dataset);
      const id = manager.getIdentityId();
      await promised((callback) => manager.local.deleteDataset(id, dataset, callback));
    },

    async purge({ dataset }) {
      const id = manager.getIdentityId();
      await promised((callback) => manager.local.purgeDataset(id, dataset, callback));
    },

    async refresh() {
      const metadata = await promised((callback) =>
        manager.refreshDatasetMetadata(callback),
      );
      return metadata.map((each) => ({
        name: each.getDatasetName(),
        storage: each.getDataStorage(),
        records: each.getRecordCount(),
      }));
    },

    async synchronize({ dataset, resolution }) {
      const opened = await open(dataset);
      sent = [];
      return synchronize(opened, resolution);
    },

    // What a page may read of an answer, without the SDK in between.
    async fetch({ url, options }) {
      const answer = await fetch(url, options);
      return {
        status: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: await answer.json(),
      };
    },
  };

  function synchronize(dataset, resolution) {
    const seen = { conflicts: [], merged: [], deleted: [] };
    return new Promise((resolve) => {
      const timer = setTimeout(() => ended("hang", ""), DEADLINE_MS);
      function ended(outcome, message) {
        clearTimeout(timer);
        resolve({ outcome, message, sent, ...seen });
      }

      dataset.synchronize({
        onSuccess: () => ended("success", ""),
        onFailure: (err) => ended("failure", err.message),
        onConflict(_, conflicts, callback) {
          for (const each of conflicts) {
            seen.conflicts.push({
              key: each.getKey(),
              local: each.getLocalRecord().getValue(),
              remote: each.getRemoteRecord().getValue(),
            });
          }
          if (resolution === undefined) return callback(false);
          const records = conflicts.map((each) => resolved(each, resolution));
          dataset.resolve(records, () => callback(true));
        },
        // To answer true makes it call a function that it does not have, so an app
        // says false, does its work and synchronizes again.
        onDatasetDeleted(_, name, callback) {
          seen.deleted.push(name);
          callback(false);
        },
        onDatasetsMerged(_, names, callback) {
          seen.merged.push(...names);
          callback(false);
        },
      });
    });
  }

  function resolved(conflict, { method, values, value = values?.[conflict.getKey()] }) {
    return value === undefined ? conflict[method]() : conflict[method](value);
  }

  return async function perform(command) {
    try {
      return { result: (await commands[command.do](command)) ?? null };
    } catch (err) {
      return { error: { code: err.code ?? err.name, message: err.message } };
    }
  };
}

if (typeof module === "object") module.exports = { makeDevice };
