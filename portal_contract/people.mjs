// Who takes part: the customers and staff of the seeds, as their apps sign them in.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { PortalSession } from "../examples/portal/session.mjs";

const require = createRequire(import.meta.url);
export const { createClient } = require("@supabase/supabase-js");
// Browsers and Expo bring their own WebSocket. A refused channel keeps its timer, and Node waits for it.
const realtime = { transport: require("ws"), timeout: 5000 };

export const { API_URL, ANON_KEY, INVOICE_ID } = process.env;
export const NOORD = "11111111-0000-4000-8000-000000000001";
export const ZUID = "11111111-0000-4000-8000-000000000002";

const CUSTOMERS = {
  carla: [NOORD, "carla@example.test", "Carla-wacht-2026!", "481516", "carla-phone-noord", "fp-carla"],
  karel: [NOORD, "karel@example.test", "Karel-wacht-2026!", "234299", "karel-phone-noord", "fp-karel"],
  carlaAtZuid: [ZUID, "carla@example.test", "Carla-wacht-2026!", "481516", "carla-phone-zuid", "fp-carla"],
};

/** What a customer types, and the installation they type it on. */
export function credentials(name) {
  const [garage_id, email, password, pin, device_id, fingerprint] = CUSTOMERS[name];
  return { typed: { garage_id, email, password, pin }, device: { device_id, fingerprint } };
}

/** A portal app that nobody is signed in to yet. */
export function openApp(device) {
  return new PortalSession(createClient, API_URL, ANON_KEY, device, { realtime });
}

/** A customer's app, signed in. */
export async function signedIn(name) {
  const { typed, device } = credentials(name);
  const app = openApp(device);
  await app.signIn(typed);
  return app;
}

/** A member of a garage, with the software of the garage. */
export async function staff(email) {
  const auth = { persistSession: false, autoRefreshToken: false };
  const client = createClient(API_URL, ANON_KEY, { auth, realtime });
  ok(await client.auth.signInWithPassword({ email, password: "autexor-demo" }));
  return client;
}

/** The data of an answer that must not be an error. */
export function ok({ data, error }) {
  assert.ifError(error);
  return data;
}

/** Resolves once a channel is joined; rejects with the reason why not. */
export function joined(channel) {
  return new Promise((resolve, reject) =>
    channel.subscribe((status, error) =>
      status === "SUBSCRIBED" ? resolve() : reject(error ?? new Error(status)),
    ),
  );
}
