// A guest of an identity pool, and the guest's temporary credentials.

const MINUTE_MS = 60_000;

export class Guest {
  #credentials = null;

  constructor(endpoint, pool) {
    this.endpoint = endpoint;
    this.pool = pool;
    this.region = pool.split(":")[0];
    // The same guest again when the page is loaded again.
    this.identityId = localStorage.getItem(pool);
  }

  // Give credentials that are good for a minute at least.
  async credentials() {
    const left = (this.#credentials?.Expiration ?? 0) * 1000 - Date.now();
    if (left > MINUTE_MS) return this.#credentials;
    if (this.identityId === null) {
      const { IdentityId } = await this.#call("GetId", { IdentityPoolId: this.pool });
      localStorage.setItem(this.pool, IdentityId);
      this.identityId = IdentityId;
    }
    const { Credentials } = await this.#call("GetCredentialsForIdentity", {
      IdentityId: this.identityId,
    });
    this.#credentials = Credentials;
    return Credentials;
  }

  async #call(operation, members) {
    const answer = await fetch(this.endpoint, {
      method: "POST",
      headers: {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": `AWSCognitoIdentityService.${operation}`,
      },
      body: JSON.stringify(members),
    });
    if (!answer.ok) throw new Error(`${operation}: ${answer.status}`);
    return answer.json();
  }
}
