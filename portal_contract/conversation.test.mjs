import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { NOORD, joined, ok, signedIn, staff } from "./people.mjs";

// The smallest PNG there is.
const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

let app, karel, rita, otto;
before(async () => {
  [app, karel, rita, otto] = await Promise.all([
    signedIn("carla"),
    signedIn("karel"),
    staff("rita@garage-noord.test"),
    staff("otto@garage-zuid.test"),
  ]);
});
after(() => Promise.all([app.signOut(), karel.signOut(), ...[rita, otto].map((one) => one.removeAllChannels())]));

/** The next notice of a kind on a channel. */
const heard = (channel, event) =>
  new Promise((resolve) => channel.on("broadcast", { event }, ({ payload }) => resolve(payload)));

async function answerAs(member, conversation_id, body, photo_id = null) {
  return ok(
    await member.from("messages").insert({ garage_id: NOORD, conversation_id, body, photo_id }).select().single(),
  );
}

test("a message reaches the garage, its answer the customer, and each learns that it was read", async () => {
  const supabase = app.client;
  // #region listen
  const { data: profile } = await supabase.from("profile").select("id, garage_id").single();
  await supabase.realtime.setAuth();
  const topic = `garage:${profile.garage_id}:customer:${profile.id}`;
  const channel = supabase.channel(topic, { config: { private: true } });
  // Events: message, read, conversation. They say that there is something, never what: read it then.
  // #endregion
  const garage = rita.channel(`garage:${NOORD}:conversations`, { config: { private: true } });
  await rita.realtime.setAuth();
  const atGarage = { message: heard(garage, "message"), read: heard(garage, "read") };
  const atCustomer = { read: heard(channel, "read") };
  let answered;
  const answer = new Promise((resolve) => (answered = resolve));
  channel.on("broadcast", { event: "message" }, ({ payload }) => payload.sender === "garage" && answered(payload));
  await Promise.all([joined(channel), joined(garage)]);

  // #region send
  const { data: sent } = await supabase.rpc("send_message", { body: "Is mijn auto klaar?" });
  // #endregion
  assert.deepEqual([sent.sender, sent.body, sent.read_at], ["customer", "Is mijn auto klaar?", null]);
  const told = await atGarage.message;
  assert.equal(told.message_id, sent.id);
  assert.ok(!JSON.stringify(told).includes("klaar"));
  const query = rita.from("conversations").select("id, unread_count").eq("id", sent.conversation_id).single();
  assert.ok(ok(await query).unread_count >= 1);
  ok(await rita.rpc("mark_conversation_read", { conversation_id: sent.conversation_id }));
  assert.equal((await atCustomer.read).reader, "garage");

  const reply = await answerAs(rita, sent.conversation_id, "Om vijf uur");
  assert.equal((await answer).message_id, reply.id);
  // #region read
  const { data: threads } = await supabase.from("conversations").select("id, closed_at, unread_count");
  const { data: messages } = await supabase
    .from("messages")
    .select("id, sender, body, read_at, created_at, photo_id")
    .eq("conversation_id", sent.conversation_id)
    .order("created_at");
  await supabase.rpc("mark_conversation_read", { conversation_id: sent.conversation_id });
  // #endregion
  assert.ok(threads.find((one) => one.id === sent.conversation_id).unread_count >= 1);
  assert.equal(messages.at(-1).body, "Om vijf uur");
  assert.ok(messages.find((one) => one.id === sent.id).read_at);
  assert.equal((await atGarage.read).conversation_id, sent.conversation_id);
  const seen = ok(await rita.from("messages").select("read_at").eq("id", reply.id).single());
  assert.ok(seen.read_at);
  await Promise.all([supabase.removeChannel(channel), rita.removeChannel(garage)]);
});

test("nobody else joins either channel", async () => {
  const mine = ok(await app.client.from("profile").select("id").single()).id;
  const topics = [`garage:${NOORD}:customer:${mine}`, `garage:${NOORD}:conversations`];
  for (const [client, allowed] of [[app.client, [topics[0]]], [karel.client, []], [rita, [topics[1]]], [otto, []]]) {
    await client.realtime.setAuth();
    for (const topic of topics) {
      const channel = client.channel(topic, { config: { private: true } });
      if (allowed.includes(topic)) await joined(channel);
      else await assert.rejects(joined(channel), /Unauthorized/);
      await client.removeChannel(channel);
    }
  }
});

test("nobody speaks or reads for the other side", async () => {
  const sent = ok(await app.client.rpc("send_message", { body: "Dag" }));
  const tries = [
    karel.client.rpc("send_message", { body: "Ook dag", conversation_id: sent.conversation_id }),
    app.client.from("messages").update({ read_at: "2026-01-01" }).eq("id", sent.id),
    rita.from("messages").update({ read_at: "2026-01-01" }).eq("id", sent.id),
    rita.from("messages").insert({ garage_id: NOORD, conversation_id: sent.conversation_id, body: "x", sender: "customer" }),
    otto.from("messages").insert({ garage_id: NOORD, conversation_id: sent.conversation_id, body: "x" }),
  ];
  for (const { error } of await Promise.all(tries)) assert.ok(error);
  const mark = { conversation_id: sent.conversation_id };
  assert.equal(ok(await karel.client.rpc("mark_conversation_read", mark)), 0);
  assert.equal(ok(await otto.rpc("mark_conversation_read", mark)), 0);
  assert.ok(ok(await rita.rpc("mark_conversation_read", mark)) >= 1);
});

test("a photo goes with a message, and only the two sides see it", async () => {
  const supabase = app.client;
  const file = new Blob([PIXEL], { type: "image/png" });
  // #region photo
  const { data: photo } = await supabase.rpc("announce_photo", { content_type: file.type });
  await supabase.storage.from("message_photos").upload(photo.storage_path, file);
  const { data: sent } = await supabase.rpc("send_message", { body: "Dit lampje", photo_id: photo.id });
  const { data: link } = await supabase.functions.invoke("portal/photos", { body: { message_id: sent.id } });
  // link.signed_url shows it for link.expires_in seconds
  // #endregion
  const shown = await fetch(link.signed_url);
  assert.deepEqual(Buffer.from(await shown.arrayBuffer()), PIXEL);
  assert.equal(shown.headers.get("content-type"), "image/png");
  await assert.rejects(karel.photoLink(sent.id), { code: "document_not_found" });
  const bucket = (who) => who.storage.from("message_photos");
  assert.ok(ok(await bucket(rita).createSignedUrl(photo.storage_path, 60)).signedUrl);
  for (const stranger of [otto, karel.client, supabase]) {
    assert.ok((await bucket(stranger).createSignedUrl(photo.storage_path, 60)).error);
    assert.ok((await bucket(stranger).download(photo.storage_path)).error);
  }
});

test("a photo is put where it was announced, once, and is an image of 5 MB at most", async () => {
  const bucket = app.client.storage.from("message_photos");
  const png = new Blob([PIXEL], { type: "image/png" });
  const announce = async () => ok(await app.client.rpc("announce_photo", { content_type: "image/png" }));
  const { storage_path } = await announce();
  for (const name of [
    storage_path.replace(".png", ".jpg"),
    `${storage_path}/../x.png`,
    `${storage_path}%2f..%2fx.png`,
    storage_path.replaceAll("/", "%252f"),
    `${storage_path}%00`,
    storage_path.replace("/", "\u2044"),
    `${NOORD}/x.png`,
  ]) {
    assert.ok((await bucket.upload(name, png)).error, name);
  }
  assert.ok((await bucket.createSignedUploadUrl(storage_path)).error);
  assert.ok((await bucket.upload(storage_path, new Blob(["<script>"], { type: "text/html" }))).error);
  assert.ok((await bucket.upload(storage_path, new Blob([Buffer.alloc(5242881)], { type: "image/png" }))).error);
  assert.ok((await karel.client.storage.from("message_photos").upload(storage_path, png)).error);
  ok(await bucket.upload(storage_path, png));
  assert.ok((await bucket.upload(storage_path, png)).error);
  assert.ok((await bucket.upload(storage_path, png, { upsert: true })).error);
});

test("a closed conversation takes nothing, and the garage takes it up again", async () => {
  const sent = ok(await app.client.rpc("send_message", { body: "Nog een vraag" }));
  const thread = rita.from("conversations").select("closed_at").eq("id", sent.conversation_id).single();
  const set = (values) => rita.from("conversations").update(values).eq("id", sent.conversation_id).select("id");
  const again = () => app.client.rpc("send_message", { body: "En nog een", conversation_id: sent.conversation_id });
  assert.equal(ok(await set({ closed_at: new Date() })).length, 1);
  assert.ok(ok(await thread).closed_at);
  assert.equal((await again()).error.details, "conversation_not_found");
  assert.deepEqual(ok(await otto.from("conversations").update({ closed_at: null }).eq("id", sent.conversation_id).select("id")), []);
  ok(await set({ closed_at: null }));
  ok(await again());
});
