// Verifies requests with the npm packages standardwebhooks and http-message-signatures: a line of JSON in, a line of JSON out.
import { createRequire } from 'node:module';
import readline from 'node:readline';

const require = createRequire(`${process.env.NODE_PATH}/`);
const { Webhook } = require('standardwebhooks');
const { createVerifier, httpbis } = require('http-message-signatures');

const kinds = {
  webhooks: (request, key) => {
    new Webhook(key.secret).verify(request.body, request.headers);
    return request.headers['webhook-id'];
  },
  signature: async (request, key) => {
    const material = key.secret ? Buffer.from(key.secret, 'base64') : key.public;
    const keyLookup = async ({ keyid }) => (keyid === key.id ? { id: keyid, verify: createVerifier(material, key.name) } : null);
    const verified = await httpbis.verifyMessage({ keyLookup, maxAge: 300, all: true }, request);
    if (verified !== true) throw new Error(`it was ${verified}`);
    return request.headers['signature-input'];
  },
};
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { kind, key, method, url, headers, body } = JSON.parse(line);
  const request = { method, url, headers: Object.fromEntries(headers), body: Buffer.from(body, 'base64').toString() };
  let answer;
  try {
    answer = { ok: await kinds[kind](request, key) };
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  console.log(JSON.stringify(answer));
}
