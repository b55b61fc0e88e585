/**
 * What stands between a device and the server: it writes down what was asked, and can be
 * told to keep something from arriving.
 */
import http from 'node:http'

const TARGET = /^AWSCognitoIdentityService\./

/** Name the operation of a request, as the API does. */
function operationOf(request, path) {
  const target = request.headers['x-amz-target']
  if (target) return target.replace(TARGET, '')
  const parts = path.split('/').filter(Boolean)
  const { method } = request
  if (parts.at(-1) === 'datasets') return 'ListDatasets'
  if (parts.at(-1) === 'records') return 'ListRecords'
  if (parts.at(-2) !== 'datasets') return `${method} ${path}`
  return { GET: 'DescribeDataset', POST: 'UpdateRecords', DELETE: 'DeleteDataset' }[method]
}

/** Write a request down in a form that does not depend on the library. */
function describe(operation, url, body) {
  const parts = url.pathname.split('/').filter(Boolean).map(decodeURIComponent)
  const at = parts.indexOf('datasets')
  const named = at >= 0 && parts[at + 1] ? `${operation} ${parts[at + 1]}` : operation
  if (operation === 'ListRecords') {
    return `${named} since ${url.searchParams.get('lastSyncCount') ?? 0}`
  }
  if (operation !== 'UpdateRecords') return named
  const patches = JSON.parse(body).RecordPatches.map(({ Op, Key, SyncCount, Value }) =>
    `${Op === 'remove' ? `remove ${Key}` : `replace ${Key} ${JSON.stringify(Value)}`} @${SyncCount}`)
  return `${named}: ${patches.sort().join(', ')}`
}

export class Proxy {
  /** @param {string} endpoint of the server */
  constructor(endpoint) {
    this.target = new URL(endpoint)
    this.requests = []
    this.raw = []
    this.offline = false
    this.plans = []
    this.server = http.createServer((request, response) => {
      this.#serve(request, response).catch(() => request.socket.destroy())
    })
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    this.endpoint = `http://127.0.0.1:${this.server.address().port}`
    return this
  }

  close() {
    this.server.closeAllConnections()
    this.server.close()
  }

  /**
   * Say what the next request of an operation meets.
   *
   * @param {'refuse'|'lose'|'unreached'|((request) => Promise<void>)} what an error that
   *   the server would give (`error`), an answer that does not come back, a request that
   *   does not arrive, or what happens just before it arrives
   */
  plan(operation, what, error) {
    this.plans.push({ operation, what, error })
  }

  /** What was asked since the last time, but for credentials. */
  take() {
    const found = this.requests
    this.requests = []
    return found.filter((each) => !each.startsWith('Get'))
  }

  async #serve(request, response) {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const url = new URL(request.url, this.target)
    const operation = operationOf(request, url.pathname)
    if (this.offline) return request.socket.destroy()
    this.requests.push(describe(operation, url, body.toString()))
    this.raw.push({ operation, url: url.pathname + url.search, body: body.toString() })
    const at = this.plans.findIndex((each) => each.operation === operation)
    const plan = at >= 0 ? this.plans.splice(at, 1)[0] : undefined
    if (plan?.what === 'unreached') return request.socket.destroy()
    if (plan?.what === 'refuse') {
      const { status, code, message } = plan.error
      response.writeHead(status, {
        'content-type': 'application/json', 'x-amzn-errortype': code,
      })
      return response.end(JSON.stringify({ __type: code, message }))
    }
    if (typeof plan?.what === 'function') await plan.what()
    const answer = await this.#forward(request, body)
    if (plan?.what === 'lose') return request.socket.destroy()
    response.writeHead(answer.status, answer.headers)
    response.end(answer.body)
  }

  #forward(request, body) {
    return new Promise((resolve, reject) => {
      const { hostname, port } = this.target
      const { method, url: path, headers } = request // the host was signed
      const out = http.request({ hostname, port, method, path, headers }, async (answer) => {
        const chunks = []
        for await (const chunk of answer) chunks.push(chunk)
        resolve({
          status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks),
        })
      })
      out.on('error', reject)
      out.end(body)
    })
  }
}
