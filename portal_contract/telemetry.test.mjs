import assert from "node:assert/strict";
import { test } from "node:test";
import { ok, signedIn, staff } from "./people.mjs";

test("an error of the app reaches the garage, without what it must not tell", async () => {
  const app = await signedIn("carla");
  const supabase = app.client;
  const error = new TypeError("contract: no invoice for carla@example.test");
  const release = "2.4.1";
  // #region telemetry
  await supabase.rpc("report_error", {
    message: `${error.name}: ${error.message}`,
    stack: error.stack,
    url: globalThis.location?.href ?? "https://portal.autexor.be/invoices?token=secret#top",
    release, // of the app
  });
  // #endregion
  const olga = await staff("olga@garage-noord.test");
  const columns = "app, message, url, release";
  const [kept] = ok(await olga.from("client_errors").select(columns).like("message", "TypeError: contract%"));
  const url = "https://portal.autexor.be/invoices";
  assert.deepEqual(kept, { app: "portal", message: "TypeError: contract: no invoice for [email]", url, release });
  const otto = await staff("otto@garage-zuid.test");
  assert.deepEqual(ok(await otto.from("client_errors").select("id").like("message", "TypeError: contract%")), []);
  const unread = await supabase.from("client_errors").select("*");
  assert.ok(unread.error);
  await app.signOut();
});
