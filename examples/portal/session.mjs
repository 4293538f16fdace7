// One customer signed in at one garage: tokens are kept in memory and renewed before they expire.
// The same file in browsers, Expo and Node; supabase-js is handed in.

/** A refusal in the one shape of our errors: a stable code, a message for people, the next step. */
export class PortalError extends Error {
  constructor({ code, message, hint }) {
    super(message);
    Object.assign(this, { code, hint });
  }
}

const RENEW_BEFORE_MS = 30_000;

export class PortalSession {
  #tokens = null;
  #expiresAt = 0;
  #renewal = null;
  #edge;

  /** `device` is `{ device_id, fingerprint }` of this installation; `options` go to createClient. */
  constructor(createClient, url, key, device, options = {}) {
    const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false };
    this.device = device;
    this.#edge = createClient(url, key, { auth, ...options }).functions;
    this.client = createClient(url, key, {
      ...options,
      db: { schema: "portal" },
      accessToken: () => this.#accessToken(),
    });
  }

  /** What the garage decided: `{ id, idle_seconds, expires_at }`; sign out after that many idle seconds. */
  get session() {
    return this.#tokens?.session ?? null;
  }

  async signIn({ garage_id, email, password, pin }) {
    this.#keep(await this.#ask("login", { garage_id, email, password, pin, ...this.device }));
  }

  /** The customer's answer to an invitation: `token` is what the link in the mail ends in. */
  async activate({ token, password, pin, label }) {
    this.#keep(await this.#ask("activate", { token, password, pin, label, ...this.device }));
  }

  /** A further device, or a forgotten PIN: has a code mailed, if the password is right. */
  async requestCode({ garage_id, email, password }) {
    await this.#ask("devices/request", { garage_id, email, password, ...this.device });
  }

  /** Binds this device by the mailed code, with a PIN of its own, and signs in. */
  async confirmCode({ garage_id, email, password, code, pin, label }) {
    this.#keep(await this.#ask("devices/confirm", { garage_id, email, password, code, pin, label, ...this.device }));
  }

  /** Has a link mailed to set a new password; says nothing of whether there is such a login. */
  async forgotPassword({ garage_id, email }) {
    await this.#ask("password/forgot", { garage_id, email });
  }

  /** Confirmed by password and PIN: "password/change", "pin/change", "email/change" or "account/close". */
  async change(what, { password, pin, ...change }) {
    const body = { password, pin, ...change, ...this.device };
    return answer(await this.client.functions.invoke(`portal/${what}`, { body }));
  }

  /** Ends one of the customer's sessions, or all of them when `id` is null. */
  async endSession(id) {
    await answer(await this.client.functions.invoke("portal/sessions/end", { body: { id } }));
  }

  /** Puts one of the customer's devices out of use. */
  async revokeDevice(id) {
    await answer(await this.client.functions.invoke("portal/devices/revoke", { body: { id } }));
  }

  async signOut() {
    const refresh_token = this.#tokens?.refresh_token;
    this.#tokens = null;
    if (this.client.realtime.isConnected()) await this.client.removeAllChannels();
    if (refresh_token) await this.#ask("logout", { refresh_token });
  }

  /** The address of an invoice's PDF, good for a minute: `{ signed_url, expires_in, filename }`. */
  async documentLink(invoice_id) {
    return answer(await this.client.functions.invoke("portal/documents", { body: { invoice_id } }));
  }

  /** The address of a message's photo, good for a minute. */
  async photoLink(message_id) {
    return answer(await this.client.functions.invoke("portal/photos", { body: { message_id } }));
  }

  async #accessToken() {
    if (this.#tokens && Date.now() > this.#expiresAt - RENEW_BEFORE_MS) {
      // A refresh token works once: everybody who needs a new one waits for the same renewal.
      this.#renewal ??= this.#renew().finally(() => (this.#renewal = null));
      await this.#renewal;
    }
    return this.#tokens?.access_token ?? null;
  }

  async #renew() {
    const { refresh_token } = this.#tokens;
    try {
      this.#keep(await this.#ask("refresh", { refresh_token, ...this.device }));
    } catch (error) {
      if (error instanceof PortalError) this.#tokens = null;
      throw error;
    }
  }

  #keep(tokens) {
    this.#tokens = tokens;
    this.#expiresAt = Date.now() + tokens.expires_in * 1000;
  }

  async #ask(path, body) {
    return answer(await this.#edge.invoke(`portal/${path}`, { body }));
  }
}

/** The data of an answer of the edge; throws PortalError where it refused. */
async function answer({ data, error }) {
  if (!error) return data;
  const refusal = await error.context?.json?.().catch(() => null);
  throw refusal?.code ? new PortalError(refusal) : error;
}
