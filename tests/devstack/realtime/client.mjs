// supabase-js as a browser would use it: protocol 2.0.0, broadcasts as binary frames.
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/package.json");
const { createClient } = require("@supabase/supabase-js");
const ws = require("ws");

const { API_URL, KEY, TOKEN } = process.env;
const client = createClient(API_URL, KEY, { realtime: { transport: ws } });
await client.realtime.setAuth(TOKEN);

const EXPECTED = ["inserted", "broadcast", "bytes", "http", "present", "replayed"];
const seen = {};
const note = (name, value) => {
  seen[name] = value;
  if (!EXPECTED.every((one) => one in seen)) return;
  console.log(JSON.stringify(seen));
  client.removeAllChannels().then(() => client.realtime.disconnect()).then(() => process.exit(0));
};

const channel = client
  .channel("js", { config: { broadcast: { self: true, ack: true }, presence: { key: "rita" } } })
  .on("postgres_changes", { event: "INSERT", schema: "public", table: "notes", filter: "id=gt.70" }, (change) =>
    note("inserted", change.new.id),
  )
  .on("broadcast", { event: "json" }, (message) => note("broadcast", message.payload))
  .on("broadcast", { event: "bytes" }, (message) => note("bytes", [...new Uint8Array(message.payload)]))
  .on("broadcast", { event: "http" }, (message) => note("http", message.payload))
  .on("presence", { event: "join" }, ({ key, newPresences }) => note("present", [key, newPresences[0].mood]))
  .on("system", {}, async () => {
    console.log("ready");
    await channel.send({ type: "broadcast", event: "json", payload: { n: 1 } });
    await channel.send({ type: "broadcast", event: "bytes", payload: new Uint8Array([255, 0]).buffer });
    await channel.httpSend("http", { n: 2 });
    await channel.track({ mood: "busy" });
  })
  .subscribe();
client
  .channel("room", { config: { private: true, broadcast: { replay: { since: 0, limit: 1 } } } })
  .on("broadcast", { event: "kept" }, (message) => note("replayed", [message.payload.n, message.meta.replayed]))
  .subscribe();
setTimeout(() => process.exit(1), 15000);
