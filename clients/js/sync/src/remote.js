/**
 * The calls of a synchronization: effects of `rules/session.js` in, its events out.
 *
 * An answer is looked at before it counts: of what is no listing (a portal's page, another
 * service) nothing may be concluded, least of all that a dataset is empty.
 */

import { createApi } from './api/call.js';
import { ApiError, Unanswered } from './api/faults.js';

const PAGES_MAX = 10_000; // a server that never comes to an end is none
const NEXT_SESSION = 'millpond-next-session'; // asks for the token of the next update

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
  credentials.attach({ ...kept, endpoint, pool, region, api });

  /**
   * All pages of a listing.
   *
   * @param {string} operation
   * @param {string} identityId
   * @param {Record<string, any>} [rest]
   * @returns {Promise<any[]>}
   */
  async function pagesOf(operation, identityId, rest) {
    const pages = [];
    for (let last; ; ) {
      const params = { IdentityPoolId: pool, IdentityId: identityId, ...rest, NextToken: last };
      const page = await api.call(operation, params);
      pages.push(page);
      if (!page.NextToken) return pages;
      if (page.NextToken === last || pages.length > PAGES_MAX) throw new Unanswered();
      last = page.NextToken;
    }
  }

  /**
   * @param {string} dataset
   * @param {{ do: string, [member: string]: any }} effect
   * @param {string} identityId
   * @returns {Promise<Event>}
   */
  async function ask(dataset, effect, identityId) {
    const DatasetName = effect.dataset_name ?? dataset;
    if (effect.do === 'list') {
      const rest = { DatasetName, LastSyncCount: effect.since };
      return listed(await pagesOf('ListRecords', identityId, rest));
    }
    const params = { IdentityPoolId: pool, IdentityId: identityId, DatasetName };
    if (effect.do === 'delete') {
      await api.call('DeleteDataset', params);
      return { is: 'deleted' };
    }
    const { token, patches } = effect.sent;
    const answer = await api.call('UpdateRecords', {
      ...params,
      SyncSessionToken: token,
      ClientContext: NEXT_SESSION,
      RecordPatches: patches.map((/** @type {any} */ patch) => ({
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
      const isOther = async () => ((await credentials.known()) ?? identityId) !== identityId;
      const other = { is: 'refused', code: 'IdentityChanged' };
      try {
        return (await isOther()) ? other : await ask(dataset, effect, identityId);
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
      const pages = await pagesOf('ListDatasets', identityId);
      return pages.flatMap((page) => list(page.Datasets).map((each) => each.DatasetName));
    },
  };
}

/** @param {any} value @returns {any[]} */
function list(value) {
  if (!Array.isArray(value)) throw new Unanswered();
  return value;
}

/** @param {any} value @returns {value is number} */
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;

/** @param {any[]} pages @returns {Event} */
function listed(pages) {
  const page = pages.at(-1);
  const { SyncSessionToken: token, DatasetSyncCount: sync_count, DatasetExists: exists } = page;
  const merged_names = list(page.MergedDatasetNames ?? []);
  const isWhole = // all of one moment
    pages.every((each) => each.DatasetSyncCount === sync_count && each.DatasetExists === exists);
  const isNamed = merged_names.every((each) => typeof each === 'string');
  if (typeof token !== 'string' || !token || !isCount(sync_count) || !isWhole || !isNamed) {
    throw new Unanswered();
  }
  return {
    is: 'listed',
    token,
    sync_count,
    exists: exists === true,
    deleted: page.DatasetDeletedAfterRequestedSyncCount === true,
    records: pages.flatMap(readRecords),
    merged_names,
  };
}

/** @param {any} answer @returns {RemoteRecord[]} */
const readRecords = (answer) =>
  list(answer.Records).map((record) => {
    const { Key: key, Value: value = null, SyncCount: sync_count } = record ?? {};
    const isText = value === null || typeof value === 'string';
    if (typeof key !== 'string' || !isText || !isCount(sync_count)) throw new Unanswered();
    const modified_s = record.DeviceLastModifiedDate ?? record.LastModifiedDate;
    return { key, value, sync_count, modified_ms: Math.round(modified_s * 1000) || 0 };
  });
