// supabase-js as a browser would use it: protocol 2.0.0, broadcasts as binary frames.
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/package.json");
const { createClient } = require("@supabase/supabase-js");
const ws = require("ws");

const { API_URL, KEY, TOKEN } = process.env;
const client = createClient(API_URL, KEY, { realtime: { transport: ws } });
await client.realtime.setAuth(TOKEN);

const seen = {};
const done = () => {
  if (!("inserted" in seen && "broadcast" in seen && "bytes" in seen)) return;
  console.log(JSON.stringify(seen));
  client.removeAllChannels().then(() => client.realtime.disconnect()).then(() => process.exit(0));
};

const channel = client
  .channel("js", { config: { broadcast: { self: true, ack: true } } })
  .on("postgres_changes", { event: "INSERT", schema: "public", table: "notes" }, (change) => {
    seen.inserted = change.new.id;
    done();
  })
  .on("broadcast", { event: "json" }, (message) => {
    seen.broadcast = message.payload;
    done();
  })
  .on("broadcast", { event: "bytes" }, (message) => {
    seen.bytes = [...new Uint8Array(message.payload)];
    done();
  })
  .on("system", {}, async () => {
    console.log("ready");
    await channel.send({ type: "broadcast", event: "json", payload: { n: 1 } });
    await channel.send({ type: "broadcast", event: "bytes", payload: new Uint8Array([255, 0]).buffer });
  })
  .subscribe();
setTimeout(() => process.exit(1), 15000);
