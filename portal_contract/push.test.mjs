import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ok, signedIn, staff } from "./people.mjs";

const CARLAS_DEVICE = "66666666-0000-4000-8000-000000000001";
let olga;
before(async () => (olga = await staff("olga@garage-noord.test")));

async function registered() {
  const columns = "platform, shows_details, retired_at";
  return ok(await olga.from("push_devices").select(columns).eq("portal_device_id", CARLAS_DEVICE).single());
}

test("a device registers, is replaced, unregisters, and is forgotten when it signs out", async () => {
  const app = await signedIn("carla");
  const supabase = app.client;
  const token = "ExponentPushToken[carla-contract-0001]";
  // #region push
  await supabase.rpc("register_push_token", {
    expo_token: token, // await Notifications.getExpoPushTokenAsync()
    platform: "ios", // Platform.OS
    shows_details: false, // true: the garage's name and the message may be in the push
  });
  // #endregion
  assert.deepEqual(await registered(), { platform: "ios", shows_details: false, retired_at: null });
  ok(await supabase.rpc("register_push_token", { expo_token: token, platform: "android", shows_details: true }));
  assert.deepEqual(await registered(), { platform: "android", shows_details: true, retired_at: null });
  ok(await supabase.rpc("unregister_push_token"));
  assert.ok((await registered()).retired_at);
  ok(await supabase.rpc("register_push_token", { expo_token: token }));
  assert.equal((await registered()).retired_at, null);
  await app.signOut();
  assert.ok((await registered()).retired_at);
});

test("what is no token or no platform is refused in words", async () => {
  const app = await signedIn("karel");
  const wrong = await app.client.rpc("register_push_token", { expo_token: "fcm:123" });
  assert.equal(wrong.error.details, "push_token_invalid");
  const odd = await app.client.rpc("register_push_token", {
    expo_token: "ExponentPushToken[karel-contract-0001]",
    platform: "windows",
  });
  assert.equal(odd.error.details, "push_platform_unknown");
  await app.signOut();
});
