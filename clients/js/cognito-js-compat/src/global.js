/**
 * For pages whose scripts expect `AWS`: defines what is missing of it. What `aws-sdk` put there stays.
 */

import { AWS } from './index.js'

const scope = /** @type {{AWS?: any}} */ (globalThis)
scope.AWS ??= {}
for (const [name, each] of Object.entries(AWS)) scope.AWS[name] ??= each
