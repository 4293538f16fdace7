import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { INVOICE_ID, ok, signedIn } from "./people.mjs";

let app, karel;
before(async () => ([app, karel] = await Promise.all([signedIn("carla"), signedIn("karel")])));
after(() => Promise.all([app.signOut(), karel.signOut()]));

test("a link opens the PDF for a minute", async () => {
  // #region document
  const { data: link } = await app.client.functions.invoke("portal/documents", {
    body: { invoice_id: INVOICE_ID },
  });
  // open link.signed_url now, save it as link.filename: it is good for link.expires_in seconds
  // #endregion
  const opened = await fetch(link.signed_url);
  assert.equal(opened.status, 200);
  assert.equal(opened.headers.get("content-type"), "application/pdf");
  assert.equal(link.expires_in, 60);
  assert.match(link.filename, /^\d{4}-\d{5}\.pdf$/);
  const elsewhere = await fetch(link.signed_url.replace("/invoices/", "/message_photos/"));
  assert.equal(elsewhere.status, 400);
});

test("another customer gets no link", async () => {
  await assert.rejects(karel.documentLink(INVOICE_ID), { code: "document_not_found" });
  assert.ok((await app.documentLink(INVOICE_ID)).signed_url);
});

test("Storage itself signs nothing and shows nothing, by whatever name", async () => {
  const { signed_url } = await app.documentLink(INVOICE_ID);
  const path = decodeURIComponent(new URL(signed_url).pathname.split("/invoices/")[1]);
  const [garage, invoice, file] = path.split("/");
  const names = [
    path,
    `${garage}/../${path}`,
    `${garage}/${invoice}/./${file}`,
    path.replaceAll("/", "%2f"),
    path.replaceAll("/", "%252f"),
    `${path}%00`,
    path.replace("/", "\u2044"),
    path.toUpperCase(),
    `/${path}`,
    `${garage}/${invoice}/${file}.`,
  ];
  for (const name of names) {
    const signed = await app.client.storage.from("invoices").createSignedUrl(name, 60);
    assert.ok(signed.error && !signed.data, name);
    const got = await app.client.storage.from("invoices").download(name);
    assert.ok(got.error && !got.data, name);
  }
  assert.deepEqual(ok(await app.client.storage.from("invoices").list(garage)), []);
  assert.equal((await fetch(signed_url)).status, 200);
});

test("nothing can be put in place of a document", async () => {
  const { signed_url } = await app.documentLink(INVOICE_ID);
  const path = decodeURIComponent(new URL(signed_url).pathname.split("/invoices/")[1]);
  const forged = new Blob(["%PDF-1.7 forged"], { type: "application/pdf" });
  const bucket = app.client.storage.from("invoices");
  for (const write of [
    bucket.upload(path, forged, { upsert: true }),
    bucket.update(path, forged),
    bucket.upload(`${path}.pdf`, forged),
    bucket.createSignedUploadUrl(path),
  ]) {
    assert.ok((await write).error);
  }
  // Storage answers a removal with the list of what it removed.
  assert.deepEqual((await bucket.remove([path])).data ?? [], []);
  assert.notEqual(await (await fetch(signed_url)).text(), "%PDF-1.7 forged");
});
