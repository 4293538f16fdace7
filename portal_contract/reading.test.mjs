import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { INVOICE_ID, ok, signedIn } from "./people.mjs";

let app, karel;
before(async () => ([app, karel] = await Promise.all([signedIn("carla"), signedIn("karel")])));
after(() => Promise.all([app.signOut(), karel.signOut()]));

test("an invoice comes with its lines, VAT, vehicle and document in one request", async () => {
  const supabase = app.client;
  // #region invoices
  const { data: invoices, count } = await supabase
    .from("invoices")
    .select("*, invoice_lines(*), invoice_vat_totals(*), vehicles(plate, make, model), documents(page_count)", {
      count: "exact",
    })
    .order("issue_date", { ascending: false })
    .order("position", { referencedTable: "invoice_lines" })
    .range(0, 19);
  // #endregion
  const invoice = invoices.find((one) => one.id === INVOICE_ID);
  assert.equal(count, invoices.length);
  assert.equal(invoice.invoice_lines[0].description, "Onderhoud");
  assert.equal(invoice.invoice_vat_totals[0].vat, 21);
  assert.equal(invoice.vehicles.plate, "1-ABC-234");
  assert.equal(invoice.documents[0].page_count, 1);
  assert.deepEqual([invoice.payment_status, invoice.balance], ["unpaid", 121]);
  assert.match(invoice.structured_communication, /^\+{3}\d{3}\/\d{4}\/\d{5}\+{3}$/);
});

test("the text of the payment QR code asks for what is left to pay", async () => {
  const supabase = app.client;
  // #region payment-qr
  const { data: invoice } = await supabase
    .from("invoices")
    .select("balance, payment_qr") // null when there is nothing to pay
    .eq("id", INVOICE_ID)
    .single();
  // #endregion
  const lines = invoice.payment_qr.split("\n");
  assert.deepEqual(lines.slice(0, 4), ["BCD", "002", "1", "SCT"]);
  assert.equal(lines[7], "EUR121.00");
});

test("filters, counts, inner joins and single rows work as supabase-js has them", async () => {
  const supabase = app.client;
  const unpaid = ok(await supabase.from("invoices").select("id").in("payment_status", ["unpaid", "partly_paid"]));
  assert.ok(unpaid.length >= 1);
  const withCar = ok(await supabase.from("invoices").select("id, vehicles!inner(plate)").eq("vehicles.plate", "1-ABC-234"));
  assert.ok(withCar.length >= 1);
  assert.deepEqual(ok(await supabase.from("invoices").select("id, vehicles!inner(plate)").eq("vehicles.plate", "9-ZZZ-999")), []);
  const { count, data } = await supabase.from("invoice_lines").select("*", { count: "exact", head: true });
  assert.ok(count >= 1 && !data);
  assert.equal(ok(await supabase.from("invoices").select("id").eq("id", INVOICE_ID).maybeSingle()).id, INVOICE_ID);
  const counted = ok(await supabase.from("vehicles").select("plate, invoices(count), odometer_readings(reading_km)"));
  assert.ok(counted[0].invoices[0].count >= 1 && counted[0].odometer_readings.length >= 1);
  const pages = ok(await supabase.from("invoice_lines").select("id").order("id").range(0, 0));
  assert.equal(pages.length, 1);
});

test("another customer of the garage sees none of it", async () => {
  const query = (who) => who.client.from("invoices").select("id").eq("id", INVOICE_ID);
  assert.equal(ok(await query(app)).length, 1);
  assert.deepEqual(ok(await query(karel)), []);
  assert.deepEqual(ok(await karel.client.from("invoice_lines").select("id").eq("invoice_id", INVOICE_ID)), []);
});

test("nothing can be written, whatever the verb", async () => {
  const views = [
    "garage", "profile", "vehicles", "odometer_readings", "invoices", "invoice_lines", "invoice_vat_totals",
    "documents", "work_orders", "conversations", "messages", "message_photos",
  ];
  for (const view of views) {
    const table = app.client.from(view);
    ok(await table.select().limit(1));
    const column = view === "garage" ? "id" : "garage_id";
    const tries = [
      table.insert({}),
      table.update({ [column]: null }).not(column, "is", null),
      table.upsert({}),
      table.delete().not(column, "is", null),
    ];
    for (const { error, status } of await Promise.all(tries)) {
      assert.ok(error && [401, 403, 404, 405].includes(status), `${view}: ${status} ${error?.message}`);
    }
  }
});

test("what the garage keeps to itself has no name here", async () => {
  for (const [view, column] of [["invoices", "internal_note"], ["invoices", "snapshot"], ["messages", "author_user_id"]]) {
    const { error } = await app.client.from(view).select(column);
    assert.equal(error.code, "42703");
  }
  const { status } = await app.client.schema("public").from("customers").select("id");
  assert.equal(status, 403);
});
