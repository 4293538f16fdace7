// The reference portal in a real browser: what Carla does there, and the garage's answer arriving live.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { API_URL, INVOICE_ID, NOORD, credentials, ok, staff } from "./people.mjs";

const { chromium } = createRequire(import.meta.url)("playwright-core");
const { CHROMIUM, SCREENSHOT, INVITED_EMAIL_2, INVITATION_TOKEN_2 } = process.env;
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

test("Carla signs in, sees her car and invoice, opens the PDF and talks with the garage", async (t) => {
  // A container's root has no sandbox for the browser, and little shared memory.
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  t.after(() => browser.close());
  const page = await browser.newPage({ locale: "nl-BE" });
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(API_URL) && !request.url().startsWith("data:")) complaints.push(request.url());
  });
  const { typed, device } = credentials("carla");
  await page.goto(`${API_URL}/portal/#${new URLSearchParams({ garage: NOORD, ...device })}`);
  const fill = async (pin) => {
    await page.getByLabel("E-mailadres").fill(typed.email);
    await page.getByLabel("Wachtwoord").fill(typed.password);
    await page.getByLabel("Pincode").fill(pin);
    await page.getByLabel("Pincode").press("Enter");
  };

  await t.test("a wrong PIN is refused in words", async () => {
    await fill("000000");
    await page.getByRole("alert").getByText("Aanmelden is niet gelukt").waitFor();
    assert.equal(await page.getByRole("heading", { name: "Uw voertuigen" }).isVisible(), false);
    complaints.splice(0); // the browser writes every refused request into its console
  });

  await t.test("the right one shows her vehicles and invoices", async () => {
    await fill(typed.pin);
    await page.getByRole("heading", { name: /^Dag Carla/ }).waitFor();
    await page.getByText("1-ABC-234").waitFor();
    await page.getByText("Nog € 121,00").first().waitFor();
  });

  await t.test("the PDF opens by a link of a minute", async () => {
    const link = page.waitForResponse((answer) => answer.url().endsWith("/portal/documents"));
    await page.getByRole("button", { name: /^Open pdf van/ }).first().click();
    const { signed_url } = await (await link).json();
    assert.equal((await fetch(signed_url)).headers.get("content-type"), "application/pdf");
  });

  await t.test("a message goes out, its reading and the answer arrive by themselves", async () => {
    const rita = await staff("rita@garage-noord.test");
    await page.getByLabel("Uw bericht").fill("Is mijn auto klaar? <b>Dank u</b>");
    await page.getByLabel(/^Foto/).setInputFiles({ name: "lampje.png", mimeType: "image/png", buffer: Buffer.from(PIXEL, "base64") });
    await page.getByRole("button", { name: "Verstuur" }).click();
    const log = page.getByRole("log");
    await log.getByText("<b>Dank u</b>").last().waitFor();
    const sent = ok(await rita.from("messages").select().eq("sender", "customer").order("created_at", { ascending: false }).limit(1).single());
    const { conversation_id } = sent;
    ok(await rita.rpc("mark_conversation_read", { conversation_id }));
    await log.locator(`[data-id="${sent.id}"]`).getByText("gelezen").waitFor();
    const reply = { garage_id: NOORD, conversation_id, body: `Ja, om vijf uur (${sent.id.slice(0, 4)})` };
    const { id } = ok(await rita.from("messages").insert(reply).select("id").single());
    await log.getByText(reply.body).waitFor();
    await page.getByRole("button", { name: "Toon de foto" }).last().click();
    await log.locator("img").last().waitFor();
    const query = () => rita.from("messages").select("read_at").eq("id", id).single();
    for (let tries = 0; !ok(await query()).read_at && tries < 50; tries++) await new Promise((next) => setTimeout(next, 100));
    assert.ok(ok(await query()).read_at);
  });

  await t.test("it speaks three languages, and every field has a label", async () => {
    for (const [language, heading] of [["fr", "Vos factures"], ["en", "Your invoices"], ["nl", "Uw facturen"]]) {
      await page.locator("#language").selectOption(language);
      await page.getByRole("heading", { name: heading }).waitFor();
      assert.equal(await page.locator("html").getAttribute("lang"), language);
    }
    const unnamed = await page.locator("input, textarea, select, button").evaluateAll((nodes) =>
      nodes.filter((node) => !node.labels?.length && !node.textContent.trim() && !node.ariaLabel).map((node) => node.id),
    );
    assert.deepEqual(unnamed, []);
    if (SCREENSHOT) await page.screenshot({ path: SCREENSHOT, fullPage: true });
  });

  await t.test("signing out leaves nothing behind", async () => {
    await page.getByRole("button", { name: "Afmelden" }).click();
    await page.getByRole("status").getByText("U bent afgemeld").waitFor();
    assert.equal(await page.locator("#invoices tr, #vehicles li, #messages li").count(), 0);
    const kept = await page.evaluate(() => JSON.stringify(localStorage) + JSON.stringify(sessionStorage));
    assert.ok(!/eyJ|wacht|481516|carla@/.test(kept), kept);
  });

  assert.deepEqual(complaints, []);
  assert.ok(INVOICE_ID);
});

test("Noor opens the link of her invitation, chooses, and is in", async (t) => {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  t.after(() => browser.close());
  const page = await browser.newPage({ locale: "nl-BE" });
  const link = new URLSearchParams({ garage: NOORD, token: INVITATION_TOKEN_2 });
  await page.goto(`${API_URL}/portal/activate#${link}`);
  await page.getByRole("heading", { name: "Activeer uw toegang" }).waitFor();
  assert.equal(await page.getByLabel("E-mailadres").isVisible(), false);
  const choose = async (pin) => {
    await page.getByLabel("Wachtwoord").fill("vier-paarden-in-mei");
    await page.getByLabel("Pincode").fill(pin);
    await page.getByLabel("Pincode").press("Enter");
  };
  await choose("123456");
  await page.getByRole("alert").getByText("te gemakkelijk te raden").waitFor();
  await choose("270951");
  await page.getByRole("heading", { name: /^Dag No/ }).waitFor();
  assert.ok(!page.url().includes("token"));
  await page.getByRole("button", { name: "Afmelden" }).click();
  await page.getByLabel("E-mailadres").fill(INVITED_EMAIL_2);
  await choose("270951");
  await page.getByRole("heading", { name: /^Dag No/ }).waitFor();
});
