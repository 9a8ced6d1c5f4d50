// node fetch.mjs FOLDER URL IDLE_S: what tests/senders/drive.py asks of a sender, by Node's fetch (undici).

import { createReadStream, readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { setTimeout } from "node:timers/promises";

const [folder, url, idleSeconds] = process.argv.slice(2);
const file = (name) => readFileSync(`${folder}/${name}.json`);

async function send(name, body) {
  const headers = {
    "Content-Type": "application/json",
    "X-Webhook-Signature": readFileSync(`${folder}/${name}.sig`, "ascii"),
  };
  const response = await fetch(url, { method: "POST", headers, body, duplex: "half" });
  await response.text();
  console.log(name, response.status);
}

await send("fresh", file("fresh"));
await send("reused", file("reused"));
await setTimeout(1000 * idleSeconds);
await send("idle", file("idle"));
await send("chunked", Readable.toWeb(createReadStream(`${folder}/chunked.json`)));
await send("large", file("large"));
