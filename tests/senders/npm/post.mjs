// node post.mjs LIBRARY FOLDER URL IDLE_S: what tests/senders/drive.py asks of a sender, by a library from npm.

import { createReadStream, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

const [library, folder, url, idleSeconds] = process.argv.slice(2);

const posts = {
  async axios() {
    const { default: axios } = await import("axios");
    return async (body, headers) => (await axios.post(url, body, { headers, validateStatus: null })).status;
  },
  async got() {
    const { default: got } = await import("got");
    return async (body, headers) =>
      (await got.post(url, { body, headers, throwHttpErrors: false })).statusCode;
  },
  async undici() {
    const { request } = await import("undici");
    return async (body, headers) => {
      const answer = await request(url, { method: "POST", body, headers });
      await answer.body.dump();
      return answer.statusCode;
    };
  },
};
const post = await posts[library]();

async function send(name, body = readFileSync(`${folder}/${name}.json`)) {
  const headers = {
    "Content-Type": "application/json",
    "X-Webhook-Signature": readFileSync(`${folder}/${name}.sig`, "ascii"),
  };
  console.log(name, await post(body, headers));
}

await send("fresh");
await send("reused");
await setTimeout(1000 * idleSeconds);
await send("idle");
await send("chunked", createReadStream(`${folder}/chunked.json`));
await send("large");
