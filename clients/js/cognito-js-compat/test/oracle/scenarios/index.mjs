/** All scenarios, by name: functions of a `World` that write into its log. */
import * as conflicts from './conflicts.mjs'
import * as datasets from './datasets.mjs'
import * as failures from './failures.mjs'
import * as identities from './identities.mjs'
import * as synchronizing from './synchronizing.mjs'
import * as values from './values.mjs'

export const scenarios = {
  ...values, ...datasets, ...synchronizing, ...conflicts, ...failures, ...identities,
}
