import assert from "node:assert/strict";
import { test } from "node:test";
import { credentials, ok, openApp, signedIn } from "./people.mjs";

const { typed, device } = credentials("carla");

test("signing in opens the customer's own data, signing out closes it", async () => {
  // #region sign-in
  const app = openApp(device); // { device_id, fingerprint }: made once per installation, kept there
  await app.signIn(typed); // { garage_id, email, password, pin }
  const { data: profile } = await app.client.from("profile").select("full_name, email").single();
  const signOutAfter = app.session.idle_seconds; // the garage decides; the server ends the session, too
  // #endregion
  assert.equal(profile.email, "carla@example.test");
  assert.equal(signOutAfter, 1800);
  await app.signOut();
  const { data, error } = await app.client.from("profile").select();
  assert.ok(error);
  assert.equal(data, null);
});

test("whatever is wrong is refused alike", async () => {
  const wrong = [
    { ...typed, password: "Carla-wacht-2027!" },
    { ...typed, pin: "481517" },
    { ...typed, email: "nobody@example.test" },
    { ...typed, garage_id: credentials("carlaAtZuid").typed.garage_id },
  ];
  for (const attempt of wrong) {
    await assert.rejects(openApp(device).signIn(attempt), { name: "Error", code: "invalid_login" });
  }
  await assert.rejects(openApp({ ...device, device_id: "another-phone" }).signIn(typed), {
    code: "invalid_login",
  });
  await openApp(device).signIn(typed);
});

test("a token is renewed once, however many requests need it", async () => {
  const app = openApp(device);
  const fetched = [];
  const plain = globalThis.fetch;
  await app.signIn(typed);
  const now = Date.now;
  Date.now = () => now() + 590_000; // seconds before the token expires
  globalThis.fetch = (...request) => {
    fetched.push(String(request[0].url ?? request[0]));
    return plain(...request);
  };
  try {
    const answers = await Promise.all(["profile", "vehicles", "invoices"].map((view) => app.client.from(view).select()));
    answers.forEach(ok);
  } finally {
    Date.now = now;
    globalThis.fetch = plain;
  }
  assert.equal(fetched.filter((url) => url.endsWith("/portal/refresh")).length, 1);
  await app.signOut();
});

test("two relations of one person are two apps that know nothing of each other", async () => {
  const [here, there] = await Promise.all([signedIn("carla"), signedIn("carlaAtZuid")]);
  const garages = await Promise.all([here, there].map((app) => app.client.from("garage").select("trade_name")));
  assert.deepEqual(garages.map(ok), [[{ trade_name: "Garage Noord" }], [{ trade_name: "Garage Zuid" }]]);
  await here.signOut();
  assert.equal(ok(await there.client.from("profile").select("id")).length, 1);
  await there.signOut();
});
