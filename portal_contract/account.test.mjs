import assert from "node:assert/strict";
import { test } from "node:test";
import { NOORD, credentials, ok, openApp } from "./people.mjs";

const { INVITED_EMAIL, INVITATION_TOKEN } = process.env;
const password = "vier-paarden-in-mei";
const pin = "270951";
const device = { device_id: "nele-phone", fingerprint: "fp-nele" };
const typed = { garage_id: NOORD, email: INVITED_EMAIL, password, pin };

test("an invited customer activates, signs in, and looks after the own access", async () => {
  const token = INVITATION_TOKEN;
  const weak = openApp(device);
  await assert.rejects(weak.activate({ token, password, pin: "123456" }), { code: "pin_too_weak" });
  await assert.rejects(weak.activate({ token, password: "password1", pin }), { code: "password_too_common" });
  await assert.rejects(openApp(device).signIn(typed), { code: "invalid_login" });
  // #region activate
  // The link of the mail: https://portal.autexor.be/activate#garage=<garage_id>&token=<token>
  const app = openApp(device);
  await app.activate({ token, password, pin, label: "Nele's phone" });
  const { data: profile } = await app.client.from("profile").select("full_name, email").single();
  // #endregion
  assert.deepEqual(profile, { full_name: "Nele Nieuw", email: INVITED_EMAIL });
  await assert.rejects(openApp(device).activate({ token, password, pin }), { code: "link_invalid" });

  const other = openApp(device);
  await other.signIn(typed);
  // #region devices
  const { data: devices } = await app.client.from("devices").select("id, label, is_this_device, last_seen_at");
  const { data: sessions, error } = await app.client.from("sessions").select("id, is_this_session, refreshed_at");
  assert.ifError(error);
  await app.endSession(sessions.find((session) => !session.is_this_session).id); // null: everywhere
  // #endregion
  assert.deepEqual(devices.map(({ label, is_this_device }) => [label, is_this_device]), [["Nele's phone", true]]);
  assert.equal(sessions.length, 2);
  assert.ok((await other.client.from("profile").select()).error);
  assert.equal(ok(await app.client.from("sessions").select("id")).length, 1);

  // #region change
  const changed = "zes-geiten-op-een-dak";
  await app.change("password/change", { password, pin, new_password: changed });
  await app.change("pin/change", { password: changed, pin, new_pin: "604182" });
  // #endregion
  await assert.rejects(app.change("pin/change", { password, pin, new_pin: "604183" }), {
    code: "confirmation_refused",
  });
  await assert.rejects(openApp(device).signIn(typed), { code: "invalid_login" });
  const again = openApp(device);
  await again.signIn({ ...typed, password: changed, pin: "604182" });
  await again.change("account/close", { password: changed, pin: "604182" });
  assert.ok((await app.client.from("profile").select()).error);
});

test("what may be asked by anybody is answered alike, whoever exists", async () => {
  const stranger = openApp({ device_id: "a-new-phone", fingerprint: "fp-new" });
  const { typed: carla } = credentials("carla");
  for (const email of [carla.email, "nobody@example.test"]) {
    await stranger.forgotPassword({ garage_id: NOORD, email });
    // #region code
    await stranger.requestCode({ garage_id: NOORD, email, password: carla.password });
    // then, with the code that the customer reads in the mail within 15 minutes:
    const bound = stranger.confirmCode({ garage_id: NOORD, email, password: carla.password, code: "0000-0000-0000", pin });
    // #endregion
    await assert.rejects(bound, { code: "invalid_login" });
  }
});
