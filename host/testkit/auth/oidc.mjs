// oidc-provider (npm) with one client, and a resource that takes its tokens alone.
// Arguments: port, seconds that a token is good for.
import http from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.env.NODE_PATH}/`);
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);
const [port, lifetime] = process.argv.slice(-2).map(Number);
const client = (id, method) => ({
  client_id: id,
  client_secret: 's3cret & more: +%',
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
  token_endpoint_auth_method: method,
  scope: 'orders:write',
});
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client('basic', 'client_secret_basic'), client('post', 'client_secret_post')],
  scopes: ['orders:write'],
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  ttl: { ClientCredentials: lifetime },
});
let tokens = 0;
let seen = [];
provider.on('client_credentials.saved', () => { tokens += 1; });
const oidc = provider.callback();
const revoked = new Set();
http.createServer(async (request, response) => {
  const answer = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  switch (request.url) {
    case '/health': return answer(200, {});
    case '/stats': return answer(200, { tokens, seen });
    // What was granted so far is good no more.
    case '/revoke': seen.forEach((call) => revoked.add(call.token)); return answer(200, {});
    case '/api': {
      const [scheme, token] = (request.headers.authorization ?? '').split(' ');
      const found = scheme === 'Bearer' && !revoked.has(token) ? await provider.ClientCredentials.find(token) : undefined;
      const status = found?.isValid && found.scope === 'orders:write' ? 200 : 401;
      seen.push({ status, token, client: found?.clientId });
      request.resume();
      return answer(status, {});
    }
    default: return oidc(request, response);
  }
}).listen(port, '127.0.0.1');
