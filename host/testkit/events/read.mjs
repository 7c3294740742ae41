// Reads CloudEvents with the SDK of npm: a request as a line of JSON in, a line of JSON with its events out.
import { createRequire } from 'node:module';
import readline from 'node:readline';

const require = createRequire(`${process.env.NODE_PATH}/`);
const { HTTP } = require('cloudevents');

const shown = (event) => {
  event.validate();
  const { data, data_base64: base64, ...rest } = event.toJSON();
  const attributes = Object.entries(rest).filter(([, value]) => value !== undefined);
  const texts = Object.fromEntries(attributes.map(([name, value]) => [name, String(value)]));
  return { attributes: texts, data: base64 === undefined ? data : { base64 } };
};
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { headers, body } = JSON.parse(line);
  let answer;
  try {
    const message = { headers: Object.fromEntries(headers), body: Buffer.from(body, 'base64').toString() };
    answer = { ok: [HTTP.toEvent(message)].flat().map(shown) };
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  console.log(JSON.stringify(answer));
}
