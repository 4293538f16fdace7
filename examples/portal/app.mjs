// The reference portal: one page over the portal's API. Everything shown goes in as text, never as HTML.
import { PortalError, PortalSession } from "./session.mjs";
import { WORDS } from "./words.mjs";

const PAGE_SIZE = 10;
const $ = (id) => document.getElementById(id);
const config = await (await fetch("config.json")).json(); // { url, key, is_local }
const asked = new URLSearchParams(location.hash.slice(1)); // #garage=…, as links in mails carry it

let app = null;
let garage = null;
let invoices = [];
let idleTimer = null;
let locale = localStorage.getItem("locale") ?? navigator.language.slice(0, 2);
if (!(locale in WORDS)) locale = "nl";

/** An element with attributes and children; strings become text. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const say = (text) => ($("status").textContent = text);
const word = (name, ...values) => (values.length ? WORDS[locale][name](...values) : WORDS[locale][name]);
const money = (amount) => new Intl.NumberFormat(`${locale}-BE`, { style: "currency", currency: "EUR" }).format(amount);
const day = (date) => new Intl.DateTimeFormat(`${locale}-BE`, { dateStyle: "medium" }).format(new Date(date));
const moment = (time) =>
  new Intl.DateTimeFormat(`${locale}-BE`, { dateStyle: "short", timeStyle: "short" }).format(new Date(time));

/** This installation: made once, kept on it. The local stack may play a device of its seeds. */
function device() {
  if (config.is_local && asked.has("device_id")) {
    return { device_id: asked.get("device_id"), fingerprint: asked.get("fingerprint") };
  }
  const kept = JSON.parse(localStorage.getItem("device") ?? "null");
  const made = kept ?? { device_id: crypto.randomUUID(), fingerprint: crypto.randomUUID() };
  localStorage.setItem("device", JSON.stringify(made));
  return made;
}

/** Runs what a person asked for: says that it takes a moment, and in words what went wrong. */
async function attempt(work) {
  $("problem").textContent = "";
  say(word("working"));
  try {
    await work();
    if ($("status").textContent === word("working")) say("");
  } catch (error) {
    say("");
    const isRefusal = error instanceof PortalError || error?.details;
    $("problem").textContent = isRefusal ? [error.message, error.hint].filter(Boolean).join(". ") : word("broken");
    if (error?.code === "session_ended" || error?.details === "session_ended") show(false);
  }
}

/** The data of an answer of supabase-js; throws its error. */
function data(answer) {
  if (answer.error) throw answer.error;
  return answer.data;
}

function translate() {
  document.documentElement.lang = locale;
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  document.title = word("title");
  $("language").value = locale;
  if (garage) $("garage-name").textContent = garage.trade_name;
}

function show(isSignedIn) {
  $("sign-in").hidden = isSignedIn;
  $("home").hidden = !isSignedIn;
  $("sign-out").hidden = !isSignedIn;
  if (!isSignedIn) {
    [app, garage, invoices] = [null, null, []];
    clearTimeout(idleTimer);
    for (const id of ["vehicles", "invoices", "messages"]) $(id).replaceChildren();
    translate();
    $("email").focus();
  }
}

/** An invitation's link asks for a password and a PIN to be chosen; the login is in the invitation. */
function invite(isInvited) {
  $("email-field").hidden = isInvited;
  $("email").required = $("garage").required = !isInvited;
  for (const id of ["sign-in-title", "enter"]) $(id).dataset.word = isInvited ? "activate" : "signIn";
  $("password").autocomplete = isInvited ? "new-password" : "current-password";
  translate();
}

async function signIn(form) {
  const typed = Object.fromEntries(new FormData(form));
  const session = new PortalSession(supabase.createClient, config.url || location.origin, config.key, device());
  if (asked.has("token")) {
    await session.activate({ token: asked.get("token"), password: typed.password, pin: typed.pin });
    asked.delete("token"); // it worked once, and has no business in the history
    history.replaceState(null, "", `#${asked}`);
    invite(false);
  } else {
    await session.signIn({ ...typed, garage_id: typed.garage_id.trim() });
  }
  form.elements.password.value = form.elements.pin.value = "";
  app = session;
  show(true);
  await Promise.all([showGarage(), showVehicles(), showInvoices(), showMessages(), listen()]);
  stayAwake();
  $("greeting").focus();
}

async function signOut(reason) {
  const session = app;
  show(false);
  say(reason);
  await session?.signOut();
}

/** The garage decides after how long; the server ends the session by itself, too. */
function stayAwake() {
  clearTimeout(idleTimer);
  if (app) idleTimer = setTimeout(() => signOut(word("idle")), app.session.idle_seconds * 1000);
}

async function showGarage() {
  const [own, profile] = await Promise.all([
    app.client.from("garage").select("trade_name").single(),
    app.client.from("profile").select("full_name").single(),
  ]);
  garage = data(own);
  $("garage-name").textContent = garage.trade_name;
  $("greeting").textContent = word("hello", data(profile).full_name);
}

async function showVehicles() {
  const found = data(
    await app.client
      .from("vehicles")
      .select("plate, make, model, odometer_readings(reading_km, read_on)")
      .order("read_on", { referencedTable: "odometer_readings", ascending: false }),
  );
  $("vehicles").replaceChildren(
    ...found.map(({ plate, make, model, odometer_readings: [latest] }) =>
      el("li", {}, el("strong", { class: "plate" }, plate ?? "–"), el("span", {}, `${make} ${model}`),
        latest ? el("small", {}, `${latest.reading_km.toLocaleString(`${locale}-BE`)} km, ${day(latest.read_on)}`) : null)),
    ...(found.length ? [] : [el("li", {}, word("noneYet"))]),
  );
}

async function showInvoices(from = 0) {
  const answer = await app.client
    .from("invoices")
    .select("id, kind, invoice_number, issue_date, gross_total, balance, payment_status, structured_communication, documents(id)", { count: "exact" })
    .order("issue_date", { ascending: false })
    .order("invoice_number", { ascending: false })
    .range(from, from + PAGE_SIZE - 1);
  invoices = [...invoices.slice(0, from), ...data(answer)];
  $("more-invoices").hidden = invoices.length >= answer.count;
  $("invoices").replaceChildren(...invoices.map(invoiceRow));
}

function invoiceRow(invoice) {
  const state = invoice.kind === "credit_note" ? "credit_note" : invoice.payment_status;
  const isOpen = ["unpaid", "partly_paid"].includes(state);
  const open = () => attempt(() => openDocument(invoice.id));
  return el("tr", {},
    el("th", { scope: "row" }, invoice.invoice_number),
    el("td", {}, day(invoice.issue_date)),
    el("td", { class: "amount" }, money(invoice.gross_total)),
    el("td", {}, el("span", { class: `state ${isOpen ? "open" : ""}` }, word(state)),
      isOpen ? el("small", {}, `${word("left", money(invoice.balance))} · ${word("reference")} ${invoice.structured_communication}`) : null),
    el("td", {}, invoice.documents.length
      ? el("button", { type: "button", class: "quiet", "aria-label": word("openOf", invoice.invoice_number), onclick: open }, word("open"))
      : el("small", {}, word("noDocument"))));
}

async function openDocument(invoiceId) {
  const { signed_url } = await app.documentLink(invoiceId);
  el("a", { href: signed_url, target: "_blank", rel: "noopener noreferrer" }).click();
}

async function showMessages() {
  const messages = data(
    await app.client.from("messages").select("id, conversation_id, sender, body, read_at, created_at, photo_id").order("created_at", { ascending: false }).limit(50),
  ).reverse();
  const shown = new Set([...$("messages").children].map((node) => node.dataset.id));
  const arrived = messages.filter((one) => one.sender === "garage" && !one.read_at);
  $("unread").hidden = arrived.length === 0;
  $("unread").textContent = word("unread", arrived.length);
  // What stands there already is left alone, so that a screen reader hears the new alone.
  for (const message of messages) {
    if (shown.has(message.id)) markRead($("messages").querySelector(`[data-id="${message.id}"]`), message);
    else $("messages").append(messageItem(message));
  }
  $("messages").scrollTop = $("messages").scrollHeight;
  if (document.visibilityState === "visible") {
    for (const id of new Set(arrived.map((one) => one.conversation_id))) {
      data(await app.client.rpc("mark_conversation_read", { conversation_id: id }));
    }
  }
}

function messageItem(message) {
  const who = message.sender === "customer" ? word("you") : garage?.trade_name ?? word("title");
  const item = el("li", { class: message.sender, "data-id": message.id },
    el("span", { class: "meta" }, `${who}, ${moment(message.created_at)}`),
    message.body ? el("p", {}, message.body) : null,
    message.photo_id ? el("button", { type: "button", class: "quiet", onclick: (event) => attempt(() => showPhoto(event.target, message.id)) }, word("showPhoto")) : null,
    el("span", { class: "meta receipt" }));
  markRead(item, message);
  return item;
}

function markRead(item, { sender, read_at }) {
  if (sender === "customer" && read_at) item.querySelector(".receipt").textContent = `✓ ${word("read")}`;
}

async function showPhoto(button, messageId) {
  const { signed_url } = await app.photoLink(messageId);
  button.replaceWith(el("img", { src: signed_url, alt: word("photo") }));
}

async function send(form) {
  const [body, file] = [form.elements.body.value.trim(), form.elements.photo.files[0]];
  if (!body && !file) return form.elements.body.focus();
  let photo_id = null;
  if (file) {
    const photo = data(await app.client.rpc("announce_photo", { content_type: file.type }));
    data(await app.client.storage.from("message_photos").upload(photo.storage_path, file));
    photo_id = photo.id;
  }
  data(await app.client.rpc("send_message", { body, photo_id }));
  form.reset();
  say(word("sent"));
  await showMessages();
}

async function listen() {
  const { id, garage_id } = data(await app.client.from("profile").select("id, garage_id").single());
  await app.client.realtime.setAuth();
  const channel = app.client.channel(`garage:${garage_id}:customer:${id}`, { config: { private: true } });
  for (const event of ["message", "read", "conversation"]) {
    channel.on("broadcast", { event }, ({ payload }) => {
      if (event === "message" && payload.sender === "garage") say(word("arrived"));
      showMessages().catch(() => ($("problem").textContent = word("broken")));
    });
  }
  // What came while the line was down is read when it is up again.
  channel.subscribe((status) => status === "SUBSCRIBED" && showMessages().catch(() => {}));
}

const on = (id, event, work) => $(id).addEventListener(event, work);
on("language", "change", async () => {
  locale = $("language").value;
  localStorage.setItem("locale", locale);
  translate();
  $("messages").replaceChildren();
  if (app) await attempt(() => Promise.all([showGarage(), showVehicles(), showInvoices(), showMessages()]));
});
on("sign-in-form", "submit", (event) => {
  event.preventDefault();
  attempt(() => signIn(event.target));
});
on("message-form", "submit", (event) => {
  event.preventDefault();
  attempt(() => send(event.target));
});
on("sign-out", "click", () => attempt(() => signOut(word("signedOut"))));
on("more-invoices", "click", () => attempt(() => showInvoices(invoices.length)));
for (const event of ["pointerdown", "keydown"]) document.addEventListener(event, stayAwake);
document.addEventListener("visibilitychange", () => app && document.visibilityState === "visible" && showMessages());

$("garage").value = asked.get("garage") ?? "";
$("garage-field").hidden = asked.has("garage");
invite(asked.has("token"));
$(asked.has("token") ? "password" : asked.has("garage") ? "email" : "garage").focus();
