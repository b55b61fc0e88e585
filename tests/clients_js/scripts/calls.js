// An app that calls a server without the rest of the client: what it keeps is in memory.
const src = new URL("../../../clients/js/sync/src/", import.meta.url);
const { connect } = await import(new URL("remote.js", src));
const { listen } = await import(new URL("live.js", src));

export * from "../../../clients/js/sync/src/credentials.js";

/** Make an app; `texts` is what it kept before. */
export function makeApp({ endpoint, pool, credentials, texts = {} }) {
  const followed = [];
  const told = [];
  const kept = {
    get: async (name) => texts[name] ?? null,
    put: async (changes) => Object.assign(texts, changes),
    merged: async (from, to) => followed.push([from, to]),
  };
  const remote = connect({ endpoint, pool, credentials, kept });
  const perform = async (effect, name = "prefs") => {
    const event = await remote.perform(name, effect, await credentials.identityId());
    const { error, ...rest } = event;
    return error ? { ...rest, why: error.code } : rest;
  };
  return {
    ...remote,
    perform,
    texts,
    followed,
    told,
    credentials,
    list: (since = 0, name = "prefs") => perform({ do: "list", dataset_name: name, since }, name),
    async push(values, name = "prefs") {
      const { token, records } = await this.list(0, name);
      const counts = new Map(records.map((each) => [each.key, each.sync_count]));
      const patches = Object.entries(values).map(([key, value]) => ({
        op: value === null ? "remove" : "replace",
        key,
        value,
        sync_count: counts.get(key) ?? 0,
        modified_ms: 1700000000123,
      }));
      return perform({ do: "push", sent: { token, patches } }, name);
    },
    async listen() {
      this.listening = listen({
        api: remote.api,
        pool,
        identityId: await credentials.identityId(),
        onUpdate: (name, count) => told.push(`${name} ${count}`),
        onAsk: () => told.push("ask"),
        onState: (isLive) => told.push(isLive ? "live" : "not live"),
      });
    },
  };
}
