/**
 * The calls of a synchronization: effects of `rules/session.js` in, its events out.
 *
 * An answer is looked at before it counts: of what is no listing (a portal's page, another
 * service) nothing may be concluded, least of all that a dataset is empty.
 */

import { createApi } from './api/call.js';
import { ApiError, Unanswered } from './api/faults.js';

const PAGES_MAX = 10_000; // a server that never comes to an end is none
const LISTINGS_MAX = 3; // whose pages are of different moments
const NEXT_SESSION = 'millpond-next-session'; // asks for the token of the next update
const IDENTITY_CHANGED = 'IdentityChanged';

/**
 * @typedef {object} Kept what is kept of a pool, whoever is signed in
 * @property {(name: string) => Promise<string | null>} get
 * @property {(changes: Record<string, string | null>) => Promise<unknown>} put all of it or nothing
 * @property {(oldId: string, newId: string) => Promise<unknown>} merged one identity became part of
 *   another, and its data goes along
 *
 * @typedef {object} RemoteRecord
 * @property {string} key
 * @property {string | null} value null: it was removed
 * @property {number} sync_count
 * @property {number} modified_ms
 *
 * @typedef {{ is: string, [member: string]: any }} Event
 *
 * @typedef {object} RemoteOptions
 * @property {string} endpoint
 * @property {string} pool
 * @property {string} [region] by default that of the pool
 * @property {import('./credentials.js').Provider} credentials
 * @property {Kept} kept
 * @property {typeof globalThis.fetch} [fetch]
 *
 * @typedef {ReturnType<typeof connect>} Remote
 */

/** @param {RemoteOptions} options */
export function connect({ endpoint, pool, region = pool.split(':')[0], credentials, kept, fetch }) {
  const api = createApi({ endpoint, region, credentials, fetch });
  credentials.attach({
    endpoint,
    pool,
    region,
    api,
    get: (name) => kept.get(name),
    put: (changes) => kept.put(changes),
    merged: (oldId, newId) => kept.merged(oldId, newId),
  });

  /** @param {string} identityId @param {string} [dataset] */
  const named = (identityId, dataset) => ({
    IdentityPoolId: pool,
    IdentityId: identityId,
    DatasetName: dataset,
  });

  /**
   * List what changed after a count, all pages of one moment.
   *
   * @param {string} identityId
   * @param {string} dataset
   * @param {number} since
   * @returns {Promise<Event>}
   */
  async function list(identityId, dataset, since) {
    const params = { ...named(identityId, dataset), LastSyncCount: since };
    for (let listings = 0; listings < LISTINGS_MAX; listings++) {
      const moments = new Set();
      /** @type {Map<string, RemoteRecord>} */
      const records = new Map();
      let page;
      for await (page of pagesOf(api, 'ListRecords', params)) {
        moments.add(`${page.DatasetSyncCount} ${page.DatasetExists}`);
        for (const record of readRecords(page)) records.set(record.key, record);
      }
      if (moments.size === 1) return listed(page, [...records.values()]);
    }
    throw unlike();
  }

  /**
   * @param {string} identityId
   * @param {string} dataset
   * @param {{ token: string, patches: any[] }} sent
   * @returns {Promise<Event>}
   */
  async function push(identityId, dataset, sent) {
    const answer = await api.call('UpdateRecords', {
      ...named(identityId, dataset),
      SyncSessionToken: sent.token,
      ClientContext: NEXT_SESSION,
      RecordPatches: sent.patches.map((patch) => ({
        Op: patch.op,
        Key: patch.key,
        Value: patch.value,
        SyncCount: patch.sync_count,
        DeviceLastModifiedDate: patch.modified_ms ? patch.modified_ms / 1000 : null,
      })),
    });
    return { is: 'pushed', records: readRecords(answer), token: answer.SyncSessionToken };
  }

  return {
    api,

    /**
     * Carry out an effect. What does not succeed is an event too, with its `error`.
     *
     * @param {string} dataset the one that is synchronized; a push does not name it
     * @param {{ do: string, [member: string]: any }} effect `list`, `push` or `delete`
     * @param {string} identityId whose dataset it is
     * @returns {Promise<Event>}
     */
    async perform(dataset, effect, identityId) {
      const name = effect.dataset_name ?? dataset;
      const isOther = async () => ((await credentials.known()) ?? identityId) !== identityId;
      const other = { is: 'refused', code: IDENTITY_CHANGED };
      try {
        if (await isOther()) return other;
        if (effect.do === 'list') return await list(identityId, name, effect.since);
        if (effect.do === 'push') return await push(identityId, name, effect.sent);
        await api.call('DeleteDataset', named(identityId, name));
        return { is: 'deleted' };
      } catch (error) {
        // The credentials were renewed for somebody else, so it is no wonder.
        if (await isOther().catch(() => false)) return other;
        // Without credentials nothing was asked: that is no answer about the dataset.
        if (!(error instanceof ApiError)) return { is: 'lost', error };
        // The patches are as good as they were: list for another session, push again.
        const isOver = effect.do === 'push' && /^SyncSessionToken/.test(error.message);
        return { is: 'refused', code: isOver ? 'ResourceConflictException' : error.code, error };
      }
    },

    /**
     * The names of the datasets that the server has.
     *
     * @param {string} identityId
     * @returns {Promise<string[]>}
     */
    async listDatasets(identityId) {
      const names = [];
      for await (const page of pagesOf(api, 'ListDatasets', named(identityId))) {
        if (!Array.isArray(page.Datasets)) throw unlike();
        for (const each of page.Datasets) names.push(each.DatasetName);
      }
      return names;
    },
  };
}

/**
 * @param {import('./api/call.js').Api} api
 * @param {string} operation
 * @param {Record<string, any>} params
 */
async function* pagesOf(api, operation, params) {
  let next;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const page = await api.call(operation, { ...params, NextToken: next });
    yield page;
    if (!page.NextToken) return;
    if (page.NextToken === next) break;
    next = page.NextToken;
  }
  throw unlike();
}

/** @param {any} page the last one @param {RemoteRecord[]} records @returns {Event} */
function listed(page, records) {
  const { SyncSessionToken: token, DatasetSyncCount: count } = page;
  const names = page.MergedDatasetNames ?? [];
  const isNames = Array.isArray(names) && names.every((each) => typeof each === 'string');
  if (typeof token !== 'string' || !token || !isCount(count) || !isNames) throw unlike();
  return {
    is: 'listed',
    token,
    sync_count: count,
    exists: page.DatasetExists === true,
    deleted: page.DatasetDeletedAfterRequestedSyncCount === true,
    records,
    merged_names: names,
  };
}

/** @param {any} value @returns {value is number} */
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;

/** @param {any} answer @returns {RemoteRecord[]} */
function readRecords(answer) {
  if (!Array.isArray(answer.Records)) throw unlike();
  return answer.Records.map((/** @type {any} */ record) => {
    const { Key: key, Value: value = null, SyncCount: count } = record ?? {};
    const isText = value === null || typeof value === 'string';
    if (typeof key !== 'string' || !isText || !isCount(count)) throw unlike();
    const modified = record.DeviceLastModifiedDate ?? record.LastModifiedDate ?? 0;
    return { key, value, sync_count: count, modified_ms: Math.round(+modified * 1000) || 0 };
  });
}

const unlike = () => new Unanswered('Somebody else answered: it is no answer of this API.');
